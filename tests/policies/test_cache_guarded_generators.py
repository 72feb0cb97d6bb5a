"""cache(): functions whose code uses guarded generator functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agentguard import cache, guard, retry


def test_a_generator_function_that_calls_itself() -> None:
    """Its own guarded form is among the free variables of its code."""

    @cache("1h")
    def count(number: int) -> Iterator[str]:
        if number:
            yield from count(number - 1)
        yield str(number)

    assert [list(count(2)), list(count(2))] == [["0", "1", "2"]] * 2


def test_the_code_of_a_guarded_generator_function_is_part_of_the_key() -> None:
    """An edited generator function that a kept function calls is asked anew."""
    answers = cache("1h", share="all")

    def asking(words: Callable[[], Iterator[str]]) -> Callable[[str], str]:
        @answers
        def ask(question: str) -> str:
            return question + "".join(words())

        return ask

    def saying(*, old: bool) -> Callable[[], Iterator[str]]:
        if old:

            @guard(retry())
            def words() -> Iterator[str]:
                yield " old"

            return words

        @guard(retry())
        def others() -> Iterator[str]:
            yield " new"

        return others

    before, after = asking(saying(old=True)), asking(saying(old=False))
    assert [before("?"), after("?"), before("?")] == ["? old", "? new", "? old"]
