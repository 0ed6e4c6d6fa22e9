"""Real bot processes under every fault at hand, and whether each question was answered once."""
