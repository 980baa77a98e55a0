"""What the service offers from request to request: techniques, the built-in model, the list of inference servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

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
        self._techniques = load_techniques()
        card = find_model(settings.hiding.model)
        self._built_in = Model(BUILT_IN, card.name, tuple(label.word for label in card.labels))

    def ask(self, what: Callable[[Catalogue], T]) -> T:
        """Return what `what` gives for the catalogue of this moment.

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
