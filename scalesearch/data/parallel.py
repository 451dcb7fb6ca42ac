"""Work over pictures in a thread pool, results in order (Pillow and hashlib release the GIL)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from scalesearch.cores import usable_cores
from scalesearch.errors import DataError

__all__ = ["Crew", "Progress"]

Progress = Callable[[str, int, int], None]
"""progress(stage, done, total), called from the caller's thread."""

T = TypeVar("T")

_CHUNK = 64  # pictures per task: large enough to hide the cost of a future
_MOST_FAILURES = 20  # broken pictures listed before giving up


@dataclass(frozen=True, slots=True)
class Crew:
    """How many threads to use (default: the cores this process may use) and whom to tell."""

    workers: int = 0
    progress: Progress | None = None

    def map(self, stage: str, function: Callable[[int], T], items: Sequence[int]) -> Generator[T, None, None]:
        """Yield function(item) for every item, in order, a bounded number ahead.

        Raises:
            DataError: names the first item that failed and, in its table, up to 20 of them.
        """
        failures: list[DataError] = []
        done = 0
        for results in self._chunks(function, items):
            failures.extend(results.failures)
            if len(failures) >= _MOST_FAILURES:
                break
            done += len(results.good) + len(results.failures)
            if self.progress is not None:
                self.progress(stage, done, len(items))
            if not failures:
                yield from results.good
        if failures:
            raise _joined(failures[:_MOST_FAILURES])

    def _chunks(self, function: Callable[[int], T], items: Sequence[int]) -> Iterator[_Results[T]]:
        workers = self.workers or usable_cores()
        waiting: deque[Future[_Results[T]]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="pictures")
        try:
            for start in range(0, len(items), _CHUNK):
                waiting.append(pool.submit(_run, function, items[start : start + _CHUNK]))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Results(Generic[T]):
    good: list[T] = field(default_factory=list)
    failures: list[DataError] = field(default_factory=list)


def _run(function: Callable[[int], T], items: Sequence[int]) -> _Results[T]:
    results: _Results[T] = _Results()
    for item in items:
        try:
            results.good.append(function(item))
        except DataError as error:
            results.failures.append(error)
    return results


def _joined(failures: list[DataError]) -> DataError:
    first = failures[0]
    if len(failures) == 1:
        return first
    others = f"(and {len(failures) - 1} more like it)" if len(failures) < _MOST_FAILURES else "(and many more like it)"
    table = "\n".join(str(failure) for failure in failures)
    return DataError(f"{first.rule} {others}", value=first.value, way_out=first.way_out, table=table)
