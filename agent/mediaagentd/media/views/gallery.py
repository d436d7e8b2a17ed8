"""All views and snapshots: who shows whom, and so what must run. On the event loop unless said otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeVar, assert_never

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.types import PictureSink, RawPicture
from mediaagentd.media.codec.image import JpegEncoder, png
from mediaagentd.media.types import AudioFrame, Size, VideoCodec, VideoFrame
from mediaagentd.media.views.page import Page
from mediaagentd.media.views.recording import Places, Recorder
from mediaagentd.media.views.stream import FrameStream, epoch
from mediaagentd.media.views.types import (
    LOCAL,
    FileView,
    FrameFormat,
    FramesView,
    Picture,
    Snapshot,
    View,
    WebrtcView,
    WindowView,
)
from mediaagentd.media.views.window import OPEN, Window, Windows
from mediaagentd.media.workers import Workers

MOST_VIEWS = 64
"""Views at once, with recordings that are not complete yet, for their disk may stand still; more is a client
that forgets to stop them.
"""

_Place = TypeVar("_Place")


class Gallery:
    """Keeps the views. `changed` is called whenever what is wanted may have changed; `keyframe` with the
    user (or `LOCAL`) whose encoded pictures somebody begins to read.
    """

    def __init__(
        self,
        workers: Workers,
        loop: asyncio.AbstractEventLoop,
        *,
        changed: Callable[[], None],
        keyframe: Callable[[str], None],
    ) -> None:
        self._workers = workers
        self._loop = loop
        self._changed = changed
        self._keyframe = keyframe
        self._views: dict[str, View] = {}
        self._streams: dict[str, FrameStream] = {}
        self._recorders: dict[str, Recorder] = {}
        self._files = Places()
        self._pages: dict[str, Page] = {}
        self._windows: dict[str, Window] = {}
        self._screens = Windows()
        self._completing: list[Recorder] = []
        self._beginning: set[asyncio.Task[str]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._awaited: dict[str, list[asyncio.Future[RawPicture]]] = {}

    async def start(self, view: View, codecs: Sequence[VideoCodec]) -> str:
        """Returns the answer to the offer of a `webrtc` view, "" for other kinds; `codecs` are those in which
        such a view may get the video, the likeliest first.

        Raises: Refused VIEW_EXISTS, NOT_OFFERED, LIMIT_EXCEEDED, FIELD_INVALID; of a `webrtc` view
        SIGNAL_INVALID, CODEC_MISMATCH, TIMED_OUT, and USER_NOT_IN_CALL when the user leaves meanwhile.
        """
        present = self._views.get(view.view_id)
        if present is not None and present != view:
            known = {"view_id": view.view_id}
            raise Refused(Reason.VIEW_EXISTS, f"view_id: {view.view_id} shows something else", known)
        if present is None:
            if len(self._views) + sum(each.writing for each in self._completing) >= MOST_VIEWS:
                limit = {"limit": "views", "value": str(MOST_VIEWS)}
                raise Refused(
                    Reason.LIMIT_EXCEEDED, f"view_id: no more than {MOST_VIEWS} views at once", limit
                )
            self._make(view, codecs)
            self._views[view.view_id] = view
            self._changed()
        beginning = self._loop.create_task(self._begun(present or view))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._has_begun)
        # Whoever asked may leave meanwhile: nobody else would see that the view cannot begin.
        return await asyncio.shield(beginning)

    def stop(self, view_id: str, user_id: str | None) -> None:
        """Ends a view of `user_id`, of any remote user when None. Raises: Refused VIEW_UNKNOWN."""
        view = self._views.get(view_id)
        if view is None or (view.user_id == LOCAL if user_id is None else view.user_id != user_id):
            raise _unknown(view_id, "view of that user:")
        self._end(view_id)
        self._changed()

    def views(self) -> tuple[View, ...]:
        """The present views, oldest first."""
        return tuple(self._views.values())

    def watch(self, view_id: str) -> AsyncGenerator[Picture, None]:
        """Raises: Refused VIEW_UNKNOWN."""
        stream = self._streams.get(view_id)
        if stream is None:
            raise _unknown(view_id, "frames view")
        return self._watched(stream, self._views[view_id].user_id)

    async def snapshot(self, user_id: str, jpeg_quality: int | None, timeout: float) -> Snapshot:
        """The next picture of that user as a file: JPEG, or PNG when `jpeg_quality` is None.

        Raises: TimeoutError; Refused USER_NOT_IN_CALL when the user leaves meanwhile.
        """
        future: asyncio.Future[RawPicture] = self._loop.create_future()
        self._awaited.setdefault(user_id, []).append(future)
        self._changed()
        try:
            async with asyncio.timeout(timeout):
                picture = await future
        finally:
            self._forget(user_id, future)
        image = await self._loop.run_in_executor(self._workers, _file, picture, jpeg_quality)
        return Snapshot(
            image,
            "image/png" if jpeg_quality is None else "image/jpeg",
            Size(picture.frame.width, picture.frame.height),
            epoch(picture.captured),
        )

    def end_user(self, user_id: str) -> None:
        """All views of that user are over."""
        for view in self.views():
            if view.user_id == user_id:
                self._end(view.view_id)
        for future in self._awaited.get(user_id, ()):
            if not future.done():
                future.set_exception(Refused(Reason.USER_NOT_IN_CALL, "user_id: the user has left"))

    def end_all(self) -> None:
        """Everything is over."""
        for user_id in {LOCAL, *self._awaited, *(view.user_id for view in self.views())}:
            self.end_user(user_id)

    async def complete(self) -> None:
        """Waits, for a bounded time, until what has ended is complete: recordings, pages, windows."""
        recorders, self._completing = self._completing, []
        joined = (asyncio.to_thread(recorder.join) for recorder in recorders)
        await asyncio.gather(*joined, *self._leaving, asyncio.to_thread(self._screens.join))

    # --- what is wanted, and what comes ---------------------------------------------------------------

    def copied_codecs(self, user_id: str) -> frozenset[VideoCodec]:
        """In which codecs pages and recordings take that user's pictures now."""
        pages, recorders = self._shown(user_id, self._pages), self._shown(user_id, self._recorders)
        codecs = (*(page.codec for page in pages), *(recorder.codec for recorder in recorders))
        return frozenset(codec for codec in codecs if codec is not None)

    def wants_encoded(self, user_id: str) -> bool:
        """Whether somebody reads or records that user's encoded pictures, whatever their codec."""
        return any(
            view.view_id in self._recorders
            or (view.view_id in self._streams and self._streams[view.view_id].wants_encoded)
            for view in self._of(user_id)
        )

    def sinks(self, user_id: str) -> tuple[PictureSink, ...]:
        """Who wants that user's decoded pictures; the sinks may be called in any thread."""
        streams = [self._streams[view.view_id] for view in self._of(user_id) if view.view_id in self._streams]
        wanted: list[PictureSink] = [stream.on_picture for stream in streams if stream.wants_decoded]
        wanted += [window.on_picture for window in self._shown(user_id, self._windows)]
        if self._awaited.get(user_id):
            wanted.append(lambda picture: self._offer(user_id, picture))
        return tuple(wanted)

    def on_encoded(self, user_id: str, frame: VideoFrame) -> bool:
        """An encoded picture of that user, for streams; False when one needs a keyframe."""
        if not self._views:
            return True
        streams = (stream for stream in self._shown(user_id, self._streams) if stream.wants_encoded)
        content = [stream.on_encoded(frame) for stream in streams]  # each, whatever the others say
        return all(content)

    def to_copies(self, user_id: str, frame: VideoFrame) -> bool:
        """The same picture for pages and recordings; False when a recording needs a keyframe. Of the local
        picture each takes its codec's; a remote user sends only one.
        """
        if not self._views:
            return True
        for page in self._shown(user_id, self._pages):
            if user_id != LOCAL or page.codec is frame.codec:
                page.video(frame)
        recorders = self._shown(user_id, self._recorders)
        if user_id == LOCAL:
            recorders = [each for each in recorders if each.codec in (None, frame.codec)]
        content = [recorder.video(frame) for recorder in recorders]
        return all(content)

    def on_audio(self, user_id: str, frame: AudioFrame) -> None:
        """Sound of that user, for recordings and pages."""
        if not self._views:
            return
        for recorder in self._shown(user_id, self._recorders):
            recorder.audio(frame)
        for page in self._shown(user_id, self._pages):
            page.audio(frame)

    def _of(self, user_id: str) -> list[View]:
        return [view for view in self._views.values() if view.user_id == user_id]

    def _shown(self, user_id: str, places: Mapping[str, _Place]) -> list[_Place]:
        """Of these places the ones that show that user."""
        return [places[view.view_id] for view in self._of(user_id) if view.view_id in places]

    def _make(self, view: View, codecs: Sequence[VideoCodec]) -> None:
        match view.kind:
            case FramesView():
                self._streams[view.view_id] = FrameStream(view.kind, self._workers, self._loop, self._changed)
            case FileView():
                self._recorders[view.view_id] = Recorder(
                    view.kind.path,
                    self._files,
                    with_sound=view.user_id != LOCAL,
                    gone=lambda: self._leave_soon(view),
                )
                self._keyframe(view.user_id)
            case WebrtcView():
                self._pages[view.view_id] = Page(
                    codecs,
                    up=self._changed,
                    keyframe=lambda: self._keyframe(view.user_id),
                    gone=lambda: self._leave(view),
                )
            case WindowView():
                self._windows[view.view_id] = self._screens.open(
                    view.kind,
                    view.user_id or "camera",
                    gone=lambda: self._leave_soon(view),
                )
            case _:
                assert_never(view.kind)

    async def _begun(self, view: View) -> str:
        """Waits for a page's answer, a window on the screen or a file; ends a view that cannot begin."""
        try:
            if (page := self._pages.get(view.view_id)) is not None and isinstance(view.kind, WebrtcView):
                return await page.answer(view.kind.offer_sdp)
            opening = self._windows.get(view.view_id) or self._recorders.get(view.view_id)
            if opening is not None:
                opened = asyncio.wrap_future(opening.opened)
                opened.add_done_callback(_noted)
                async with asyncio.timeout(OPEN):
                    await asyncio.shield(opened)
        except Exception as error:
            if self._views.get(view.view_id) is not view:
                raise Refused(Reason.USER_NOT_IN_CALL, "view_id: the view is over") from None
            self._leave(view)
            if isinstance(error, TimeoutError):
                raise Refused(Reason.TIMED_OUT, "kind: the view could not begin in time") from None
            raise
        return ""

    def _has_begun(self, beginning: asyncio.Task[str]) -> None:
        self._beginning.discard(beginning)
        _noted(beginning)

    def _leave_soon(self, view: View) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._leave, view)

    def _leave(self, view: View) -> None:
        """A page, a window or a recording has gone by itself."""
        if self._views.get(view.view_id) is view:
            self._end(view.view_id)
            self._changed()

    def _end(self, view_id: str) -> None:
        del self._views[view_id]
        if (stream := self._streams.pop(view_id, None)) is not None:
            stream.end()
        if (recorder := self._recorders.pop(view_id, None)) is not None:
            recorder.close()
            self._completing = [*(each for each in self._completing if each.writing), recorder]
        if (page := self._pages.pop(view_id, None)) is not None:
            leaving = self._loop.create_task(page.close())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        if (window := self._windows.pop(view_id, None)) is not None:
            window.close()

    async def _watched(self, stream: FrameStream, user_id: str) -> AsyncGenerator[Picture, None]:
        if stream.view.format is FrameFormat.ENCODED:
            self._loop.call_soon(self._keyframe, user_id)
        pictures = stream.pictures()
        try:
            async for picture in pictures:
                yield picture
        finally:
            await pictures.aclose()

    def _offer(self, user_id: str, picture: RawPicture) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._resolve, user_id, picture)

    def _resolve(self, user_id: str, picture: RawPicture) -> None:
        for future in self._awaited.get(user_id, ()):
            if not future.done():
                future.set_result(picture)

    def _forget(self, user_id: str, future: asyncio.Future[RawPicture]) -> None:
        waiting = self._awaited[user_id]
        waiting.remove(future)
        if not waiting:
            del self._awaited[user_id]
        self._changed()


def _unknown(view_id: str, kind: str) -> Refused:
    return Refused(Reason.VIEW_UNKNOWN, f"view_id: there is no {kind} {view_id}", {"view_id": view_id})


def _noted(outcome: asyncio.Future[Any]) -> None:
    """It is told to whoever asked, if he is still there."""
    if not outcome.cancelled():
        outcome.exception()


def _file(picture: RawPicture, jpeg_quality: int | None) -> bytes:
    return png(picture.frame) if jpeg_quality is None else JpegEncoder(jpeg_quality).encode(picture.frame)
