"""Reading the bits of a raw byte sequence payload (H.264 sections 7.2 and 9.1)."""

from encoders.errors import BitstreamError


class BitReader:
    """Reads big-endian bits, flags and Exp-Golomb numbers; past the end it raises `BitstreamError`."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._position = 0
        self._length = len(payload) * 8

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number: u(n)."""
        start, end = self._position, self._position + count
        if end > self._length:
            raise BitstreamError(f"the payload ends after {self._length} bits, {end} are needed")
        self._position = end
        last = (end + 7) // 8
        return (int.from_bytes(self._payload[start // 8 : last], "big") >> (last * 8 - end)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit: u(1)."""
        return self.bits(1) == 1

    def unsigned(self, maximum: int = 2**32 - 2) -> int:
        """An unsigned Exp-Golomb number, ue(v) of section 9.1, which must not exceed `maximum`."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 31:
                raise BitstreamError("an Exp-Golomb number is longer than 63 bits")
        number = (1 << zeros) - 1 + self.bits(zeros)
        if number > maximum:
            raise BitstreamError(f"an Exp-Golomb number is {number}, at most {maximum} is allowed here")
        return number

    def signed(self) -> int:
        """A signed Exp-Golomb number: se(v), section 9.1.1."""
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -(number // 2)
