"""What an operator asks on the command line beside the running bot."""


class Refused(Exception):
    """Why a command does nothing, in words for whoever typed it."""
