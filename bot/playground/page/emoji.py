"""The emoji that people and models use most, by Slack's names."""

import re

_CHARACTERS = {
    "+1": "👍", "-1": "👎", "100": "💯", "angry": "😠", "arrow_right": "➡️", "beers": "🍻",
    "bell": "🔔", "blush": "😊", "books": "📚", "boom": "💥", "brain": "🧠", "bug": "🐛",
    "bulb": "💡", "calendar": "📅", "chart_with_upwards_trend": "📈", "clap": "👏",
    "coffee": "☕", "computer": "💻", "confused": "😕", "construction": "🚧",
    "crossed_fingers": "🤞", "cry": "😢", "dart": "🎯", "exclamation": "❗", "eyes": "👀",
    "fire": "🔥", "gear": "⚙️", "gift": "🎁", "green_heart": "💚", "grin": "😁",
    "grinning": "😀", "hammer_and_wrench": "🛠️", "heart": "❤️", "heart_eyes": "😍",
    "heavy_check_mark": "✔️", "hourglass_flowing_sand": "⏳", "hugging_face": "🤗",
    "information_source": "ℹ️", "joy": "😂", "key": "🔑", "laughing": "😆", "link": "🔗",
    "lock": "🔒", "mag": "🔍", "mailbox": "📫", "memo": "📝", "muscle": "💪", "no_entry": "⛔",
    "ok_hand": "👌", "open_mouth": "😮", "package": "📦", "partying_face": "🥳",
    "point_right": "👉", "pray": "🙏", "pushpin": "📌", "question": "❓", "raised_hands": "🙌",
    "recycle": "♻️", "robot_face": "🤖", "rocket": "🚀", "rotating_light": "🚨",
    "scream": "😱", "see_no_evil": "🙈", "shrug": "🤷", "slightly_smiling_face": "🙂",
    "smile": "😄", "smiley": "😃", "sob": "😭", "sparkles": "✨", "speech_balloon": "💬",
    "star": "⭐", "stopwatch": "⏱️", "sunglasses": "😎", "sunny": "☀️", "sweat_smile": "😅",
    "tada": "🎉", "thinking_face": "🤔", "thumbsdown": "👎", "thumbsup": "👍", "trophy": "🏆",
    "warning": "⚠️", "wastebasket": "🗑️", "wave": "👋", "white_check_mark": "✅",
    "wink": "😉", "wrench": "🔧", "x": "❌", "zap": "⚡", "zzz": "💤",
}  # fmt: skip

_NAME = re.compile(r":([a-z0-9_+'-]+)(?:::skin-tone-[2-6])?:")


def character(name: str) -> str:
    """The emoji of that name, in yellow whatever its skin tone; an unknown one stays ``:name:``."""
    return _CHARACTERS.get(name.partition("::")[0]) or f":{name}:"


def spelled_out(text: str) -> str:
    """``text`` with the characters for the names that are known."""
    return _NAME.sub(lambda found: _CHARACTERS.get(found[1]) or found[0], text)
