"""Groups of commands whose parameters may be dataclasses of options, each field an option of its own."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

import typer


class Commands(typer.Typer):
    """A group of commands, with plain help and one-line errors: both are read by programs, and it starts faster."""

    def __init__(self, help: str, **settings: Any) -> None:
        settings = {"no_args_is_help": True} | settings
        super().__init__(help=help, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)

    def command(self, *names: Any, **settings: Any) -> Any:  # noqa: ANN401 - as Typer's, the function itself
        """Registers a function as a command, see :func:`spread`."""

        def add(function: Callable[..., None]) -> Callable[..., None]:
            super(Commands, self).command(*names, **settings)(spread(function))
            return function

        return add


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """The function with each field of its dataclass parameters as a parameter of its own, for Typer to see."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            types = get_type_hints(groups[name], include_extras=True)
            empty = inspect.Parameter.empty
            defaults = {each.name: empty if each.default is MISSING else each.default for each in fields(groups[name])}
            # What a class adds stands before what it inherits.
            ordered = [each for kind in groups[name].__mro__ for each in inspect.get_annotations(kind)]
            shown += [
                inspect.Parameter(each, parameter.KEYWORD_ONLY, default=defaults[each], annotation=types[each])
                for each in ordered
            ]
        else:
            shown.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name]))

    @functools.wraps(function)
    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{each.name: given.pop(each.name) for each in fields(kind)})
        function(**given)

    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run
