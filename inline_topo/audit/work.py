"""What the search of one message may cost: the same bounds for any bytes."""


class Work:
    """What one message may cost: `looks`, at what may be a host, `room`, bytes that are searched, and
    `finds`, hosts that are found, as many inside as others. `is_spent`: something was not looked at."""

    __slots__ = ("finds", "is_spent", "looks", "others", "room")

    def __init__(self, looks: int, room: int, finds: int) -> None:
        self.looks = looks
        self.room = room
        self.finds = finds
        self.others = finds
        self.is_spent = False

    def look(self) -> bool:
        """Whether there may be one more look."""
        self.looks -= 1
        if self.looks < 0:
            self.is_spent = True
            return False
        return True

    def take(self, size: int) -> bool:
        """Whether a text of this size may be searched."""
        self.room -= size
        if self.room < 0:
            self.is_spent = True
            return False
        return True

    def find(self, *, named: bool) -> bool:
        """Whether there may be one more host."""
        if named:
            self.finds -= 1
        else:
            self.others -= 1
        if self.finds < 0 or self.others < 0:
            self.is_spent = True
        return self.finds >= 0 if named else self.others >= 0
