"""An XMP packet: properties are read and set, and everything else in it stays as it is.

Foreign properties, namespace prefixes, the order of lists, language alternatives, comments and processing instructions
are kept. A property may be an attribute or an element of any ``rdf:Description`` of the photo, as XMP allows: writers
differ in that (Adobe and darktable prefer attributes, Capture One and exiftool elements). XMP specification, part 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lxml import etree
from lxml.etree import _Element as Node

from calm.errors import PhotoError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PREFIXES = {
    "calm": "urn:calm-aesthetics:xmp/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
}
"""Usual prefixes; a packet may have others for the same namespaces."""
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
DEFAULT = "x-default"
EMPTY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}"/>\n</x:xmpmeta>\n'
)
DESCRIPTION, BAG, SEQ, ALT, LI, VALUE, ABOUT, NODE_ID = (
    f"{{{RDF}}}{name}" for name in ("Description", "Bag", "Seq", "Alt", "li", "value", "about", "nodeID")
)
ILLEGAL = bytes({*range(32)} - {*b"\t\r\n"})
"""What no XML may hold, and some writers left in the packet's first line."""
LISTS = (BAG, SEQ, ALT)


class Packet:
    """An XMP packet. Properties are named as in ``xmp:Rating``, with a prefix of :data:`PREFIXES`.

    Args:
        data: bytes of a sidecar, or of what is embedded in a photo; an empty packet where there are none.
        path: of the file, for messages.

    Raises:
        PhotoError: for bytes that are no XMP.
    """

    def __init__(self, data: bytes = b"", path: str = "") -> None:
        if not data.strip(b"\0 \t\r\n"):
            data = EMPTY.encode()
        elif b"\0" not in data[:4]:  # else UTF-16
            data = data.translate(None, ILLEGAL).rstrip()
        parser = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)
        try:
            root = etree.fromstring(data, parser)
            self._rdf = next(root.iter(f"{{{RDF}}}RDF"))
        except (etree.XMLSyntaxError, StopIteration) as error:
            found = error.msg if isinstance(error, etree.XMLSyntaxError) else "XML without rdf:RDF"
            raise PhotoError(f"expected XMP in {path}, found: {found}; mend it or move it away") from error
        self._tree = root.getroottree()
        self._declared = data.removeprefix(b"\xef\xbb\xbf").startswith(b"<?xml ") or data[:2] in (
            b"\xff\xfe",
            b"\xfe\xff",
        )

    def __bytes__(self) -> bytes:
        """The packet in UTF-8."""
        return etree.tostring(self._tree, encoding="UTF-8", xml_declaration=self._declared) + b"\n"

    def text(self, name: str) -> str | None:
        """A property's value; None where there is none."""
        for holder, tag in self._places(name):
            value = holder.get(tag) if tag else _plain(holder)
            if value is not None and value.strip():
                return value.strip()
        return None

    def set_text(self, name: str, value: str | None) -> None:
        """Gives a property that value wherever it stands, or removes it (None)."""
        places = list(self._places(name))
        for holder, tag in places:
            if value is None:
                _remove(holder, tag)
            elif tag:
                holder.set(tag, value)
            else:
                inner = holder.find(f"{DESCRIPTION}/{VALUE}")
                inner = holder.find(VALUE) if inner is None else inner
                if inner is None:
                    _clear(holder)
                (holder if inner is None else inner).text = value
        if value is not None and not places:
            _append(self._home(name), etree.Element(_tag(name))).text = value

    def items(self, name: str) -> list[str]:
        """Texts of a list, in its order; of a language alternative, all of them."""
        found = self._list(name)
        if found is None:
            alone = self.text(name)
            return [alone] if alone else []
        return [(item.text or "").strip() for item in found.iterchildren(LI)]

    def set_items(self, name: str, values: Sequence[str]) -> None:
        """Makes an unordered list have these texts: new ones come last, and those not named any more go."""
        if not values:
            return self.set_text(name, None)
        found = self._list(name)
        if found is None:
            self.set_text(name, None)
            found = _append(_append(self._home(name), etree.Element(_tag(name))), etree.Element(BAG))
        present = self.items(name)
        for item in list(found.iterchildren(LI)):
            if (item.text or "").strip() not in values:
                _remove(item, None)
        for value in values:
            if value not in present:
                _append(found, etree.Element(LI)).text = value
        return None

    def described(self, name: str) -> str | None:
        """Text of a language alternative in the default language."""
        found = self._list(name)
        if found is None:
            return self.text(name)
        chosen = next((item for item in found.iterchildren(LI) if item.get(LANG, DEFAULT) == DEFAULT), None)
        return None if chosen is None else (chosen.text or "").strip() or None

    def describe(self, name: str, text: str | None) -> None:
        """Sets or removes (None) the default text of a language alternative; those of other languages stay."""
        found = self._list(name)
        if found is None:
            self.set_text(name, None)
            if text is None:
                return
            found = _append(_append(self._home(name), etree.Element(_tag(name))), etree.Element(ALT))
        chosen = next((item for item in found.iterchildren(LI) if item.get(LANG, DEFAULT) == DEFAULT), None)
        if text is None:
            _remove(chosen if len(found) > 1 else found.getparent(), None)
        elif chosen is not None:
            chosen.text = text
        else:
            chosen = _append(found, etree.Element(LI, {LANG: DEFAULT}), first=True)
            chosen.text = text

    def _descriptions(self) -> list[Node]:
        """Those that speak of the photo."""
        return [each for each in self._rdf.iterchildren(DESCRIPTION) if NODE_ID not in each.attrib]

    def _places(self, name: str) -> Iterator[tuple[Node, str | None]]:
        """Where a property stands: a description and its attribute, or the property's own element and None."""
        tag = _tag(name)
        for each in self._descriptions():
            if tag in each.attrib:
                yield each, tag
            yield from ((child, None) for child in list(each.iterchildren(tag)))

    def _list(self, name: str) -> Node | None:
        """The list that a property holds."""
        for holder, tag in self._places(name):
            found = None if tag else next(holder.iterchildren(*LISTS), None)
            if found is None and tag is None and NODE_ID in holder.attrib:  # f-spot and others name the list instead
                found = next((each for each in self._rdf if each.get(NODE_ID) == holder.get(NODE_ID)), None)
            if found is not None:
                return found
        return None

    def _home(self, name: str) -> Node:
        """The description that a new property goes into: one that knows its namespace, or a new one."""
        prefix = name.partition(":")[0]
        known = self._descriptions()
        for each in known:
            if PREFIXES[prefix] in each.nsmap.values():
                return each
        about = next((each.get(ABOUT) for each in known if ABOUT in each.attrib), "")
        return _append(self._rdf, etree.Element(DESCRIPTION, {ABOUT: about}, nsmap={prefix: PREFIXES[prefix]}))


def _tag(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{PREFIXES[prefix]}}}{local}"


def _plain(element: Node) -> str | None:
    """Text of a property's element, which may have qualifiers beside it."""
    inner = element.find(f"{DESCRIPTION}/{VALUE}")
    inner = element.find(VALUE) if inner is None else inner
    return element.text if inner is None else inner.text


def _append(parent: Node, child: Node, *, first: bool = False) -> Node:
    """Puts a child last, or first, indented as its brothers are."""
    depth = len(list(parent.iterancestors())) + 1
    before = parent[-1] if len(parent) and not first else None
    if before is None:
        child.tail = parent.text if len(parent) else "\n" + " " * (depth - 1)
        parent.text = (parent.text if len(parent) else None) or "\n" + " " * depth
    else:
        child.tail, before.tail = before.tail, parent.text
    parent.insert(0 if first else len(parent), child)
    return child


def _remove(holder: Node, tag: str | None) -> None:
    """Removes an attribute, or the element itself."""
    if tag:
        del holder.attrib[tag]
        return
    parent, before = holder.getparent(), holder.getprevious()
    if before is not None and holder.getnext() is None:
        before.tail = holder.tail
    parent.remove(holder)


def _clear(element: Node) -> None:
    """Leaves a bare element, whatever it held."""
    for child in list(element):
        element.remove(child)
    element.attrib.clear()
