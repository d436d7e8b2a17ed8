"""Who is connected, and what passes between the users, the local streams, the speaker and the views."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import MicrophoneFailed, MicrophoneOpened, PeerDown, PeerUp, Report
from mediaagentd.errors import Refused
from mediaagentd.media import router
from mediaagentd.media.devices import Hardware
from mediaagentd.media.early import EarlySignals, LinkKey
from mediaagentd.media.figures import figures_of
from mediaagentd.media.grading import Stream
from mediaagentd.media.leg import Leg, MakePeer, PeerPort
from mediaagentd.media.link import Link
from mediaagentd.media.local import LocalStreams
from mediaagentd.media.outgoing import Outgoing
from mediaagentd.media.playout.playout import Playout, Slots
from mediaagentd.media.remote import RemoteVideo
from mediaagentd.media.rtc import ice
from mediaagentd.media.rtc.names import Names
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.settings import MediaSettings, PeerFigures
from mediaagentd.media.tasks import Tasks
from mediaagentd.media.types import UNKNOWN_LOSS, AudioFrame, Hearing, VideoCodec, VideoFrame, VideoProfile
from mediaagentd.media.views.gallery import Gallery
from mediaagentd.media.views.types import LOCAL
from mediaagentd.media.workers import Workers

SYNC = 10
"""Pictures from one look at how well they go with the sound to the next."""

_log = structlog.stdlib.get_logger()


class Switchboard:
    """Owns the links and makes what runs follow what `router` says. On the event loop.

    Muted means that no sound leaves: no packets at all. The far end's playout takes that for silence and not
    for loss.
    """

    def __init__(
        self,
        settings: MediaSettings,
        *,
        codecs: Workers,
        pictures: Workers,
        hardware: Hardware,
        tasks: Tasks,
        report: Callable[[Report], None],
        send_signal: Callable[[str, str, Signal], None],
        camera_lost: Callable[[Refused], None],
        make_peer: MakePeer | None,
    ) -> None:
        self._settings = settings
        self._codecs = codecs
        self._tasks = tasks
        self._report = report
        self._send_signal = send_signal
        self._make_peer = make_peer or self._real_peer
        self._loop = asyncio.get_running_loop()
        self.local = LocalStreams(
            settings,
            codecs,
            hardware,
            on_video=self._on_local_video,
            on_audio=self._on_local_audio,
            camera_lost=camera_lost,
            microphone_lost=lambda refused: report(MicrophoneFailed(refused)),
            microphone_found=lambda: report(MicrophoneOpened()),
        )
        self._outgoing = Outgoing(self.local, settings.profile)
        self.gallery = Gallery(pictures, self._loop, changed=self.reroute, keyframe=self._want_keyframe)
        self.playout: Playout | None = None
        self._ice_servers: tuple[IceServer, ...] = ()
        self._links: dict[str, Link] = {}
        self._remotes: dict[str, RemoteVideo] = {}
        self._early = EarlySignals()
        self._names = Names()
        self._heard: frozenset[str] = frozenset()
        self._profile = settings.profile
        self._camera_open = False
        self._sending = (False, False)
        self._closed = False

    # --- links ----------------------------------------------------------------------------------------

    def open(self, key: LinkKey, offers: bool) -> None:
        """Connects with that user; PeerUp or PeerDown follows. A connection of an older attempt goes."""
        user_id = key.user_id
        present = self._links.get(user_id)
        if self._closed or (present is not None and present.key == key):
            return
        self._drop(user_id)
        self._links[user_id] = Link(
            key,
            offers=offers,
            profile=self._profile,
            owner=self,
            make_peer=self._make_peer,
            send=self._send,
            budget=self._settings.reconnect_budget,
        )
        self._remotes[user_id] = RemoteVideo(self._links[user_id], self._codecs, self._loop)
        for signal in self._early.take(key):
            self._links[user_id].receive(signal)

    def close(self, key: LinkKey) -> None:
        """Ends that connection; its views end unless another attempt begins at once."""
        link = self._links.get(key.user_id)
        if link is not None and link.key == key:
            self._drop(key.user_id)
            self._loop.call_soon(self._end_views_of_absent, key.user_id)

    def kill(self, user_id: str) -> bool:
        """Loses the connection with that user, on purpose; False when there is none."""
        link = self._links.get(user_id)
        if link is not None:
            link.kill()
        return link is not None

    def close_all(self) -> None:
        """Ends every connection; nothing is started any more."""
        self._closed = True
        for user_id in list(self._links):
            self._drop(user_id)

    def receive(self, call_id: str, sender: str, signal: Signal) -> None:
        """A signal of the present attempt is processed, of an older one ignored, of a later one kept."""
        link = self._links.get(sender)
        if link is None or link.key.call_id != call_id or link.key.attempt < signal.attempt:
            self._early.keep(LinkKey(call_id, sender, signal.attempt), signal)
        elif link.key.attempt == signal.attempt:
            link.receive(signal)

    def set_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """For the connections that begin from now on."""
        self._ice_servers = tuple(servers)

    def network_changed(self, addresses: frozenset[str] | None, came: frozenset[str]) -> int:
        """The machine has these addresses now, `came` are new; None: everything is made anew. Says how many
        links are.
        """
        return sum(link.network_changed(addresses, came) for link in self._links.values())

    def signalling_back(self) -> None:
        """The hub is there again: what was lost on the way is said anew."""
        for link in self._links.values():
            link.signalling_back()

    def has(self, user_id: str) -> bool:
        """Whether there is a connection with that user, up or not."""
        return user_id in self._links

    def arrived(self, user_id: str) -> int:
        """Whole pictures that came from that user."""
        remote = self._remotes.get(user_id)
        return remote.arrived if remote is not None else 0

    def offered(self, user_id: str) -> tuple[VideoCodec, ...]:
        """In which codecs a web page may get that user's video, the likeliest first. What a user sends is
        copied: it is known from what came, else from what was negotiated.
        """
        codecs = self.local.codecs
        if user_id == LOCAL:
            running = [codec for codec in codecs if Stream(codec) in self.local.streams]
            return tuple(dict.fromkeys([*running, *codecs]))
        sent = self._remotes[user_id].codec or self._links[user_id].video_codec
        return codecs if sent is None else (sent,)

    def figures(self, in_call_since: float | None) -> tuple[PeerFigures, ...]:
        """Of each connection. `in_call_since`: an instant of `time.monotonic()`."""
        found = []
        for user_id, link in self._links.items():
            slots = self.playout.slots(user_id) if self.playout is not None else Slots()
            figures = figures_of(link, self._remotes[user_id], slots, in_call_since)
            if figures is not None:
                found.append(figures)
        return tuple(found)

    # --- what the user wants --------------------------------------------------------------------------

    def set_camera_open(self, is_open: bool) -> None:
        """Whether pictures are captured when somebody wants them."""
        self._camera_open = is_open
        self.reroute()

    def set_sending(self, audio: bool, video: bool) -> None:
        """What may leave for the peers."""
        self._sending = (audio, video)
        if not video:
            self._outgoing.interrupt()
        self.reroute()

    def set_profile(self, profile: VideoProfile) -> None:
        """Size and rate of our picture from now on."""
        self._profile = profile
        self.local.set_profile(profile)
        self._outgoing.set_profile(profile)
        self.reroute()

    # --- what runs ------------------------------------------------------------------------------------

    def reroute(self) -> None:
        """Makes what runs follow what is wanted; cheap when nothing has changed."""
        if self._closed:
            return
        gallery, links = self.gallery, self._links
        self._outgoing.grade(links.values())
        up = {user_id: link.video_codec for user_id, link in links.items() if link.is_up}
        shown = {user_id: gallery.sinks(user_id) for user_id in links}
        local_sinks = gallery.sinks(LOCAL)
        wants = router.Wants(
            camera_open=self._camera_open,
            sending_audio=self._sending[0],
            sending_video=self._sending[1],
            echo=self._settings.echo,
            peers=up,
            weak=self._outgoing.weak,
            local_encoded=gallery.wants_encoded(LOCAL),
            local_codecs=gallery.copied_codecs(LOCAL),
            local_decoded=bool(local_sinks),
            remote_decoded=frozenset(user_id for user_id, sinks in shown.items() if sinks),
        )
        plan = router.plan(wants, self.local.codecs[0])
        self.local.apply(plan, local_sinks)
        for user_id, remote in self._remotes.items():
            remote.show(shown[user_id] if user_id in plan.decoders else ())
        self._hear(plan.heard)
        self._retune()

    def _hear(self, users: frozenset[str]) -> None:
        if self.playout is None:
            return
        for user_id in users - self._heard:
            self.playout.add(user_id)
        for user_id in self._heard - users:
            self.playout.remove(user_id)
        self._heard = users

    def _retune(self) -> None:
        """Sets each encoder to what its peers can take: that of sound to the worst loss and the lowest
        limit, and to two channels when anybody hears them, since all can decode them.
        """
        up = [link for link in self._links.values() if link.is_up]
        heard = [link.hearing for link in up]
        limits = [each.most for each in heard if each.most is not None]
        hearing = Hearing(any(each.stereo for each in heard), min(limits, default=None))
        self.local.set_hearers(max((link.audio_loss for link in up), default=UNKNOWN_LOSS), hearing)
        self._outgoing.retune(up)

    def _want_keyframe(self, user_id: str) -> None:
        """Of the local picture, or of a remote user's."""
        if user_id != LOCAL:
            if (link := self._links.get(user_id)) is not None:
                link.request_keyframe()
        else:
            for stream in self.local.streams:
                if not stream.weak:  # nobody but a user gets that one
                    self.local.want_keyframe(stream)

    # --- what passes ----------------------------------------------------------------------------------

    def _on_local_video(self, stream: Stream, frame: VideoFrame) -> None:
        if self._sending[1]:
            self._outgoing.send(stream, frame, self._links.values())
        content = stream.weak or self.gallery.to_copies(LOCAL, frame)
        if stream == self.local.shown:
            content &= self.gallery.on_encoded(LOCAL, frame)
        if not content:
            self.local.want_keyframe(stream)

    def _on_local_audio(self, frame: AudioFrame) -> None:
        if self._sending[0]:
            for link in self._links.values():
                link.send_audio(frame)

    def on_up(self, link: Link) -> None:
        """See `LinkOwner`."""
        key = link.key
        self.reroute()
        self._report(PeerUp(key.call_id, key.user_id, key.attempt))

    def on_lost(self, link: Link) -> None:
        """See `LinkOwner`."""
        key = link.key
        self._report(PeerDown(key.call_id, key.user_id, key.attempt, final=False))

    def on_down(self, link: Link, reason: str) -> None:
        """See `LinkOwner`."""
        key = link.key
        _log.info("link_down", user_id=key.user_id, attempt=key.attempt, reason=reason)
        self.reroute()
        self._report(PeerDown(key.call_id, key.user_id, key.attempt, final=True))

    def on_video(self, link: Link, frame: VideoFrame) -> None:
        """See `LinkOwner`."""
        if self._settings.echo and frame.codec is link.video_codec:
            link.send_video(frame)
        remote = self._remotes[link.user_id]
        remote.push(frame)
        if self.playout is not None and remote.arrived % SYNC == 0:
            remote.follow_sound(self.playout.follow_pictures(link.user_id, remote.own_lag))
        content = self.gallery.to_copies(link.user_id, frame)
        content &= self.gallery.on_encoded(link.user_id, frame)
        if not content:
            link.request_keyframe()

    def on_audio(self, link: Link, frame: AudioFrame) -> None:
        """See `LinkOwner`."""
        if self._settings.echo:
            link.send_audio(frame)
        elif self.playout is not None:
            self.playout.push(link.user_id, frame)
        self.gallery.on_audio(link.user_id, frame)

    def on_keyframe_request(self, link: Link) -> None:
        """See `LinkOwner`."""
        if self._settings.echo:
            link.request_keyframe()
        elif (stream := self._outgoing.stream_of(link)) is not None:
            self.local.want_keyframe(stream)

    def on_feedback(self, link: Link) -> None:
        """See `LinkOwner`."""
        if not self._outgoing.heeds(link):
            return
        if self._outgoing.grade(self._links.values()):
            self.reroute()
        else:
            self._retune()

    # --- connections ----------------------------------------------------------------------------------

    @property
    def is_real(self) -> bool:
        """Whether the peers are not a test's."""
        return self._make_peer == self._real_peer

    def _real_peer(self, leg: Leg) -> PeerPort:
        servers = [ice.IceServer(each.urls, each.username, each.credential) for each in self._ice_servers]
        return Peer(
            ice_servers=servers,
            video_codecs=self.local.codecs,
            observer=leg,
            names=self._names,
            style=self._settings.sound,
            turn_ca=self._settings.turn_ca,
        )

    def _send(self, key: LinkKey, signal: Signal) -> None:
        self._send_signal(key.call_id, key.user_id, signal)

    def _drop(self, user_id: str) -> None:
        """Forgets that user's connection and closes it in the background."""
        link = self._links.pop(user_id, None)
        if link is None:
            return
        self._remotes.pop(user_id).close()
        self._outgoing.forget(user_id)
        self._tasks.spawn(link.close())
        self.reroute()

    def _end_views_of_absent(self, user_id: str) -> None:
        if user_id not in self._links:
            self.gallery.end_user(user_id)
