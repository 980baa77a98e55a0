"""What the service offers from request to request: techniques, the built-in model, the list of inference servers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from anyio import CapacityLimiter

from pii_blur.detect.model_store import find_model
from pii_blur.http.bmw.address_list import AddressList
from pii_blur.http.bmw.addresses import AllowedAddresses
from pii_blur.http.bmw.catalogue import Catalogue
from pii_blur.http.bmw.server import ServerFailure, open_client
from pii_blur.http.bmw.techniques import load_techniques, look_of
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish
from pii_blur.http.refusals import Refusal
from pii_blur.http.settings import ServiceSettings

T = TypeVar("T")

_LISTING_THREADS = 4


class Offers:
    """Made once, at the start of the service.

    Attributes:
        allowed: addresses of inference servers that the operator permits.
        set: those that are used.
        allow_weak: whether the operator permits hiding that can be undone.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        """Load techniques and list.

        Raises:
            MissingDependency: a technique of another package cannot be used, or there is no model.
            UsageFailure: an allowed address is none, or the list of set ones cannot be read.
        """
        self.allowed = AllowedAddresses(settings.outgoing)
        self.set = AddressList(settings.state_folder, self.allowed)
        self.allow_weak = settings.allow_unblurred
        self._capacity = settings.capacity
        self._techniques = load_techniques()
        card = find_model(settings.hiding.model)
        self._built_in = Model(BUILT_IN, card.name, tuple(label.word for label in card.labels))

    @cached_property
    def threads(self) -> CapacityLimiter:
        """Those that may wait for the servers at a time where no photo is done.

        The rest of the service has threads of its own, and so have photos: however many servers hang, only who asks
        for their lists waits for them.
        """
        return CapacityLimiter(_LISTING_THREADS)

    @cached_property
    def photo_threads(self) -> CapacityLimiter:
        """The same for photos: one for each that may be in the house."""
        return CapacityLimiter(self._capacity)

    def ask(self, what: Callable[[Catalogue], T]) -> T:
        """Return what `what` gives for the catalogue of this moment; waits for the servers, `ASKING_S` at most.

        Raises:
            Refusal: an inference server does not answer, or whatever `what` raises.
        """
        with open_client() as client:
            catalogue = Catalogue(
                self._built_in, self.set.addresses(), self._techniques, client, allow_weak=self.allow_weak
            )
            try:
                return what(catalogue)
            except ServerFailure as failure:
                raise Refusal(502, failure.code, failure.message) from failure

    def is_raised(self, wish: Wish) -> bool:
        """Return whether a wish's degree is raised to the least that hides for good."""
        return look_of(self._techniques[wish.technique], wish.degree, allow_weak=self.allow_weak).is_raised
