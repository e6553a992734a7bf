"""What `media-service doctor` looks at: a module for each area, with a check that says what it found.

    settings -> check, one per area, all at once -> findings -> text or JSON

A check tries the thing itself where that is possible, as binding the port, encoding a picture or allocating a relay. It
changes nothing that lasts, takes a few seconds at most, and says what to do about everything that is not well.
"""

from media_service.diagnosis.finding import Diagnosis, Finding, Status

__all__ = ["Diagnosis", "Finding", "Status"]
