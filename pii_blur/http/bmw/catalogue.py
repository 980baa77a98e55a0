"""Which models and techniques there are, and whether a configuration asks for those only. Does nothing to photos."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pii_blur.http.bmw.addresses import normal_address
from pii_blur.http.bmw.configuration import Configuration, SensitiveInfo
from pii_blur.http.bmw.refusal import Mistakes
from pii_blur.http.bmw.server import QUESTION_TIMEOUT_S, Client, InferenceServer, ServerFailure
from pii_blur.http.bmw.techniques import Technique, look_of, names_for
from pii_blur.http.bmw.wishes import BUILT_IN, Model, Wish

ASKING_S = 30.0
"""How long the servers may take over all that one request wants to know of them."""

_MOST_SHOWN = 50  # names in a message


class Catalogue:
    """What this service offers at the moment of one request; servers are asked once and only if needed."""

    def __init__(
        self,
        built_in: Model,
        addresses: Sequence[str],
        techniques: Mapping[str, Technique],
        client: Client,
        *,
        allow_weak: bool = False,
    ) -> None:
        """Start with what is known without asking.

        Args:
            built_in: this program's own model.
            addresses: of the inference servers that were set.
            techniques: from `load_techniques`.
            client: from `open_client`.
            allow_weak: whether the operator permits hiding that can be undone.
        """
        self._built_in = built_in
        self._addresses = list(addresses)
        self._techniques = techniques
        self._client = client
        self._allow_weak = allow_weak
        self._names: dict[str, list[str] | ServerFailure] = {}
        self._models: dict[tuple[str, str], Model] = {}
        self._end = time.monotonic() + ASKING_S

    def available_methods(self) -> tuple[dict[str, Any], list[ServerFailure]]:
        """Return by class which models find it and which techniques suit it; and which servers did not answer."""
        models, failures = [self._built_in], []
        for address in self._addresses:
            try:
                models += [self._model(address, name) for name in self._names_at(address)]
            except ServerFailure as failure:
                failures.append(failure)
        table: dict[str, Any] = {}
        for model in models:
            for class_name in model.classes:
                kinds = table.setdefault(class_name, {})
                kinds.setdefault(model.kind, {}).setdefault(model.address, []).append(model.name)
        for class_name, entry in table.items():
            entry["technique"] = names_for(self._techniques, class_name)
        return table, failures

    def wishes(self, configuration: Configuration) -> tuple[Wish, ...]:
        """Return what a configuration asks for, in its order.

        Raises:
            Mistakes: all of all entries.
            ServerFailure: all else is right, but a server that is needed does not answer.
        """
        wishes: dict[int, Wish] = {}
        mistakes: list[str] = []
        failures: list[ServerFailure] = []
        for number, info in enumerate(configuration.sensitive_info, start=1):
            what = f"sensitive info {number}: "
            mistakes += [what + mistake for mistake in self._mistakes_of_look(info)]
            try:
                model = self._find(info)
            except ValueError as error:
                mistakes.append(what + str(error))
                continue
            except ServerFailure as failure:
                failures.append(failure)
                continue
            wish = Wish(model, info.class_name, info.anonymization_technique, info.anonymization_degree)
            same = [first for first, other in wishes.items() if other.target == wish.target]
            if same:
                mistakes.append(f"{what}hides the same as sensitive info {same[0]}; leave one out")
            wishes[number] = wish
        if mistakes:
            raise Mistakes([*mistakes, *(failure.message for failure in failures)])
        if failures:
            raise failures[0]
        return tuple(wishes.values())

    def _mistakes_of_look(self, info: SensitiveInfo) -> list[str]:
        """Return what is wrong with how an entry hides."""
        technique = self._techniques.get(info.anonymization_technique)
        if technique is None or not technique.suits(info.class_name):
            known = ", ".join(names_for(self._techniques, info.class_name))
            what = f"there is no technique {info.anonymization_technique} for the class {info.class_name}"
            return [f"{what}; there are {known}"]
        try:
            look_of(technique, info.anonymization_degree, allow_weak=self._allow_weak)
        except ValueError as error:
            return [str(error)]
        return []

    def _find(self, info: SensitiveInfo) -> Model:
        """Return the model of an entry: the one at its address, else the built-in one, else that of the first server.

        Raises:
            ValueError: there is none, or not for this class and type.
            ServerFailure: a server that may have it does not answer.
        """
        models = self._candidates(info)
        if not models:
            where = f" at {info.url}" if info.url else ""
            raise ValueError(f"there is no model {info.model_name}{where}; see /available_methods/")
        of_kind = [model for model in models if model.kind == info.inference_type]
        if not of_kind:
            hint = ""
            if info.inference_type == "segmentation":
                hint = ": it finds boxes, no masks; those need an inference server with a model for them (/set_url)"
            raise ValueError(f"the model {info.model_name} offers {models[0].kind} only{hint}")
        for model in of_kind:
            if info.class_name in model.classes:
                return model
        known = ", ".join(of_kind[0].classes[:_MOST_SHOWN])
        raise ValueError(f"the model {info.model_name} does not know the class {info.class_name}; it knows {known}")

    def _candidates(self, info: SensitiveInfo) -> list[Model]:
        if info.url == BUILT_IN or (info.url is None and info.model_name == self._built_in.name):
            return [self._built_in] if info.model_name == self._built_in.name else []
        addresses = self._addresses
        if info.url is not None:
            address = normal_address(info.url)
            # PRIVACY: a configuration never sends the photo anywhere but to a server that was set.
            if address not in self._addresses:
                raise ValueError(f"the url {address} does not belong to the list of urls supported (/set_url)")
            addresses = [address]
        models, failures = [], []
        for address in addresses:
            try:
                if info.model_name in self._names_at(address):
                    models.append(self._model(address, info.model_name))
            except ServerFailure as failure:
                failures.append(failure)
        if failures and not models:
            raise failures[0]
        return models

    def _names_at(self, address: str) -> list[str]:
        if address not in self._names:
            try:
                self._names[address] = self._server(address).models()
            except ServerFailure as failure:
                self._names[address] = failure
        names = self._names[address]
        if isinstance(names, ServerFailure):
            raise names
        return names

    def _server(self, address: str) -> InferenceServer:
        return InferenceServer(address, self._client, timeout_s=QUESTION_TIMEOUT_S, end=self._end)

    def _model(self, address: str, name: str) -> Model:
        if (address, name) not in self._models:
            server = self._server(address)
            is_segmentation = server.is_segmentation(name)
            palette = tuple(server.palette(name)) if is_segmentation else ()
            self._models[address, name] = Model(address, name, tuple(server.classes(name)), is_segmentation, palette)
        return self._models[address, name]
