"""Headers of tar archives that may be damaged: an archive that is cut between its members is an error, not its end."""

from __future__ import annotations

import tarfile


class StrictHeader(tarfile.TarInfo):
    """A member's header, for ``tarfile.open(…, tarinfo=StrictHeader)``.

    ``tarfile`` takes the end of the file, a part of a header and a damaged header for the end of the archive, and says
    nothing. Here the end is the block of zeros that POSIX asks for (one is enough: not every tool writes two), and
    everything else raises ``tarfile.ReadError``.
    """

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> StrictHeader:
        """Return the next header of ``tar``."""
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it ends without an end mark") from error
        except tarfile.TruncatedHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it ends within a header") from error
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a header is damaged: {error}") from error
