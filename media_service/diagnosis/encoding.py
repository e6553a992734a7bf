"""Which encoders of H.264 work on this machine, by letting each one code a few pictures."""

import asyncio
from collections.abc import Iterator, Sequence

from encoders.errors import EncoderUnavailable
from encoders.hardware import ACCELERATORS, Trial, chosen_trial, try_encoder
from media_service.diagnosis.finding import Finding, info, ok, problem
from media_service.settings import Settings

AREA = "Encoders of H.264"


async def check(settings: Settings) -> Sequence[Finding]:
    """Try them all. Takes up to a few seconds."""
    trials = await asyncio.to_thread(lambda: tuple(map(try_encoder, ACCELERATORS)))
    return list(found(settings.h264_hw_accel, trials))


def found(accel: str, trials: Sequence[Trial]) -> Iterator[Finding]:
    """What is to be said of `trials`, one of each of `ACCELERATORS`; `accel` is H264_HW_ACCEL."""
    width = max(len(trial.name) for trial in trials)
    for trial in trials:
        text = f"{trial.name:{width}}  {_verdict(trial)}"
        yield ok(AREA, text) if trial.ok else info(AREA, text)
    try:
        chosen = chosen_trial(accel, trials)
    except EncoderUnavailable as error:
        text, _, remedy = str(error).rpartition("; ")
        yield problem(AREA, text, f"{remedy}: set H264_HW_ACCEL")
    else:
        yield ok(AREA, f"H264_HW_ACCEL={accel}: {chosen.name} is used")


def _verdict(trial: Trial) -> str:
    if not trial.ok:
        return f"no: {trial.reason}"
    cards = [gpu for gpu in trial.gpus if gpu]
    works = f"works on {', '.join(cards)}" if cards else "works"
    return f"{works} (not on {trial.reason})" if trial.reason else works
