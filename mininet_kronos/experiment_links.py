"""What an experiment is asked about its links, and about the delays of its control network."""

from __future__ import annotations

import ctypes

from mininet_kronos import libkronos
from mininet_kronos.records import LinkParams, LinkStats


class LinkRequests:
    """The part of an Experiment that is about links.

    A link has two directions: 0 is what its first end sends. Errors: EngineError.
    """

    def _call(self, name: str, *arguments: object) -> int:
        raise NotImplementedError

    def _host(self, name: str) -> int:
        raise NotImplementedError

    def add_link(
        self,
        end0: tuple[int, str, str],
        end1: tuple[int, str, str],
        params01: LinkParams,
        params10: LinkParams,
    ) -> int:
        """Connect two TAP devices; return the link's id.

        Each end is (descriptor of the TAP, host that owns it, name of the interface). The engine
        duplicates the descriptors: close yours.
        """
        ends = (end0, end1)
        config = libkronos.LinkConfig(struct_size=ctypes.sizeof(libkronos.LinkConfig))
        for index, (descriptor, host, interface) in enumerate(ends):
            config.host[index] = self._host(host)
            config.tap_fd[index] = descriptor
            config.name[index].value = interface.encode()[: libkronos.INTERFACE_MAX - 1]
        config.dir[0], config.dir[1] = libkronos.link_structure(params01), libkronos.link_structure(params10)
        return self._call("add_link", ctypes.byref(config))

    def set_link(self, link: int, direction: int, params: LinkParams) -> None:
        """Change one direction of a link (0: from end0 to end1) from now on."""
        self._call("set_link", link, direction, ctypes.byref(libkronos.link_structure(params)))

    def remove_link(self, link: int) -> None:
        """Let a link's devices go, and lose what is on its way; its counters stay."""
        self._call("remove_link", link)

    def capture(self, link: int, end: int, descriptor: int = -1) -> None:
        """Write what an end of a link sends and receives to a file, as pcap with virtual stamps.

        The engine duplicates the descriptor: close yours. Without one the capture ends.
        """
        self._call("capture", link, end, descriptor)

    def link_stats(self, link: int, direction: int) -> LinkStats:
        """Return the counters of one direction of a link."""
        stats = libkronos.LinkStats()
        self._call("link_stats", link, direction, ctypes.byref(stats))
        return LinkStats(*(getattr(stats, name) for name in LinkStats.__dataclass_fields__))

    def add_relay(self, host: str, listener: int, target: str, port: int, delay_ns: int) -> None:
        """Connect who connects to a listening socket to a port of 127.0.0.1, with a delay each way.

        host -- who connects; target -- who listens at the port; both have place FIRST_CPU. The engine
        duplicates the listener's descriptor: close yours.
        """
        config = libkronos.RelayConfig(
            struct_size=ctypes.sizeof(libkronos.RelayConfig),
            host=(ctypes.c_uint32 * 2)(self._host(host), self._host(target)),
            listener=listener,
            port=port,
            delay_ns=delay_ns,
        )
        self._call("add_relay", ctypes.byref(config))

    def watch_link(self, link: int, descriptor: int) -> None:
        """Send every frame that is sent on a link to one end of a datagram socket pair as well.

        It ends when the other end is closed, whose SO_ATTACH_FILTER filter chooses among the frames.
        """
        self._call("watch_link", link, descriptor)
