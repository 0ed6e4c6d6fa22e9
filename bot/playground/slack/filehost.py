"""Where files are downloaded: Slack's files.slack.com, which wants the token and files:read.

Without them it leads to the login page, a page in HTML with status 200 (vercel/eve#1317,
OpenRouterLabs/spawn#2316).
"""

import asyncio
import io
from collections.abc import Callable

from aiohttp import web

from bot.playground.slack.faults import Fault
from bot.playground.slack.webapi import Call, WebApi, keep, reset
from bot.playground.slack.workspace import Workspace

METHOD = "files-pri"  # in the log of calls and for faults, as it stands in the address
SCOPE = "files:read"
LOGIN = "<!DOCTYPE html><html><body><h1>Sign in to Local</h1></body></html>"
_NO_FAULT = Fault(kind="")


class FileHost:
    """Serves the files of a workspace; each download is logged among the calls of ``web_api``."""

    def __init__(
        self, workspace: Workspace, web_api: WebApi, *, changed: Callable[[Call], None], kept: int
    ) -> None:
        self._workspace = workspace
        self._web_api = web_api
        self._changed = changed
        self._kept = kept

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/files-pri/{team}-{id}/{name}", self._serve)
        app.router.add_get("/files-pri/{team}-{id}/download/{name}", self._serve)
        app.router.add_get("/login", _serve_login)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        id = request.match_info["id"]
        call = Call(
            method=METHOD,
            token=self._web_api.token_of(request.headers.get("Authorization", "")),
            args={"file": id},
            started=self._workspace.clock(),
        )
        keep(self._web_api.calls, call, most=self._kept)
        fault = self._web_api.faults.take(METHOD, call.args) or _NO_FAULT
        call.fault = fault.kind
        self._changed(call)
        await asyncio.sleep(self._web_api.latency + fault.wait_before + fault.wait_after)
        response = self._answer(request, call, id, fault)
        if fault.reset_before or fault.reset_after:
            reset(request)
        call.status = None if fault.reset_before or fault.reset_after else response.status
        call.answered = self._workspace.clock()
        self._changed(call)
        return response

    def _answer(self, request: web.Request, call: Call, id: str, fault: Fault) -> web.Response:
        if fault.status is not None:
            body = fault.body if isinstance(fault.body, str) else ""
            return web.Response(status=fault.status, text=body, headers=fault.headers)
        if call.token != "bot" or SCOPE not in self._web_api.scopes:
            return web.Response(status=302, headers={"Location": f"/login?redir={request.path}"})
        stored = self._workspace.files.get(id)
        if stored is None:
            return web.Response(status=404, text="")
        call.answer = {"ok": True, "bytes": len(stored.data)}
        return web.Response(
            body=io.BytesIO(stored.data),
            content_type=stored.described["mimetype"],
            headers={"Content-Disposition": "attachment"},
        )


async def _serve_login(_: web.Request) -> web.Response:
    return web.Response(text=LOGIN, content_type="text/html")
