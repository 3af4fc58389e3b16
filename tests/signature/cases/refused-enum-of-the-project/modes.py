from enum import Enum


class Mode(str, Enum):
    FAST = "fast"
