"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from calm.errors import BusyError, CalmError, DataError, PhotoError, UsageError

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(CalmError):
    """A request that is refused.

    Args:
        status: of HTTP.
        message: what was expected, what was found, what to do.
        code: short name for programs.
        param: the field at fault.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.headers = status, code, param, headers

    def response(self) -> JSONResponse:
        """The error as a response."""
        kind = TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        body = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return JSONResponse({"error": body}, self.status, self.headers)


def busy(message: str, seconds: float = 1.0, status: int = 429, code: str = "busy") -> ApiError:
    """Try again after so many seconds."""
    return ApiError(status, message, code, headers={"Retry-After": str(max(1, ceil(seconds)))})


def install(app: FastAPI) -> None:
    """Have an application answer with these errors; those that are no client's fault are the guard's."""
    for kind in (CalmError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> JSONResponse:
    answer = as_api_error(error)
    if answer.status == 500:
        raise error
    return answer.response()


def as_api_error(error: Exception) -> ApiError:
    """What a client is told of an exception."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, BusyError):
        return busy(str(error))
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        message = f"expected a body as /openapi.json has it, found otherwise: {error.detail}"
        if error.status_code in (404, 405):
            message = f"expected a path and method of /openapi.json, found others: {error.detail}"
        return ApiError(error.status_code, message, headers=error.headers)
    if isinstance(error, UsageError | PhotoError | DataError):
        return ApiError(400, str(error))
    return ApiError(500, "this is a fault of the server; its log says more", "internal_error")


def _invalid(errors: Sequence[Any]) -> ApiError:
    """The first fault of a body, without what the client sent."""
    first = errors[0]
    place = ".".join(str(each) for each in first["loc"] if each != "body")
    message = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{place}: {message}" if place else message, "invalid_value", place or None)
