"""One configuration after the other, with each pair of clients, through all scenarios."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clients_lab import captured
from clients_lab.cast import Cast, Pair
from clients_lab.ground import Ground
from clients_lab.phone import Failed, Skipped
from clients_lab.scenarios import END, REGISTRATION, SCENARIOS, SHOWN
from clients_lab.settings import HOST, Setting
from lab.net import LabError

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True)
class Result:
    """What became of a scenario; `why` where it is not `ok`, `folder` with its captures and logs."""

    setting: Setting
    pair: Pair
    scenario: str
    outcome: str
    why: str = ""
    folder: Path = Path()


class Tour:
    """The scenarios with these names (all of them, if none), in a folder."""

    def __init__(self, folder: Path, wanted: Iterable[str] = ()) -> None:
        self._folder = folder
        self._wanted = frozenset(wanted)

    def through(self, setting: Setting, pairs: Iterable[Pair]) -> Iterator[Result]:
        """The results of one configuration, as they come."""
        folder = self._folder / setting.name.replace(" ", "-")
        folder.mkdir()
        pairs = list(pairs)
        try:
            with Ground(folder, setting) as ground:
                ground.build()
                ground.start_registrar()
                ground.configure_gateway()
                for number, pair in enumerate(pairs):
                    yield from self._with(
                        ground, pair, f"{number}-{pair.inside.kind}-{pair.outside.kind}"
                    )
        except Skipped as reason:
            for pair in pairs:
                yield Result(setting, pair, REGISTRATION, SKIPPED, str(reason))
        except LabError as error:
            for pair in pairs:
                yield Result(setting, pair, REGISTRATION, FAILED, str(error), folder)

    def _with(self, ground: Ground, pair: Pair, name: str) -> Iterator[Result]:
        """All scenarios with a pair of clients; `name`: how its files begin."""

        def tried(scenario: str, play: Callable[[], None]) -> Result:
            outcome, why = _outcome(play)
            return Result(ground.setting, pair, scenario, outcome, why, ground.folder / name)

        for kind in {pair.inside, pair.outside}:
            if ground.setting.version not in kind.families:
                reason = f"{kind.kind} has no IPv{ground.setting.version}"
                yield Result(ground.setting, pair, REGISTRATION, SKIPPED, reason)
                return
        ground.capture(name)
        cast = Cast(ground, pair, name)
        try:
            first = tried(REGISTRATION, cast.await_registered)
            yield first
            for scenario in SCENARIOS if first.outcome == OK else ():
                if self._wanted and scenario.name not in self._wanted:
                    continue
                if reason := scenario.reason(ground.setting, pair):
                    yield Result(ground.setting, pair, scenario.name, SKIPPED, reason)
                    continue
                result = tried(scenario.name, partial(scenario.play, cast))
                yield result
                if result.outcome == FAILED:
                    cast.renew()
        finally:
            cast.close()
            ground.end_capture()
        yield tried(END, lambda: _check_gone(ground))
        yield tried(SHOWN, lambda: _check_hidden(ground, name))


def _outcome(play: Callable[[], None]) -> tuple[str, str]:
    try:
        play()
    except Skipped as reason:
        return SKIPPED, str(reason)
    except Failed as failure:
        step = _own_step(failure)
        return FAILED, f"{failure} ({step.name}: {step.line})"
    except Exception as error:  # what the laboratory did not foresee is no success
        return FAILED, f"{type(error).__name__}: {error}"
    return OK, ""


def _own_step(failure: Failed) -> traceback.FrameSummary:
    """The line of the scenario at which it failed."""
    steps = traceback.extract_tb(failure.__traceback__)
    return [step for step in steps if not step.filename.endswith("phone.py")][-1]


def _check_gone(ground: Ground) -> None:
    bindings = ground.bindings()
    if "AoR:" in bindings:
        raise Failed(f"the registrar still has {bindings.split('Address: ')[1].split()[0]}")


def _check_hidden(ground: Ground, name: str) -> None:
    setting = ground.setting
    outside, inside = (ground.folder / f"{name}-{side}.pcap" for side in ("outside", "inside"))
    if setting.shape != HOST and not captured.shown(inside, setting):
        raise Failed("the search finds nothing in what has not passed the gateway yet either")
    if not any(captured.left(outside, setting)):
        raise Failed("the capture of the outside holds nothing")
    if places := captured.shown(outside, setting):
        raise Failed(f"{len(places)} places, the first one: {places[0]}")
