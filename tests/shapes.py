"""Sidecars in the shapes that photo programs write, by hand, with and without what calm writes as well."""

from __future__ import annotations

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMES = {
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "darktable": "http://darktable.sf.net/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
}


def declared(*prefixes: str) -> str:
    return "\n".join(f'    xmlns:{prefix}="{NAMES[prefix]}"' for prefix in prefixes)


def listed(kind: str, items: list[str]) -> str:
    return f"<rdf:{kind}>" + "".join(f"<rdf:li>{item}</rdf:li>" for item in items) + f"</rdf:{kind}>"


def darktable(rating: str, words: list[str]) -> str:
    subject = f"   <dc:subject>\n    {listed('Bag', words)}\n   </dc:subject>\n" if words else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""
{declared("exif", "xmp", "xmpMM", "darktable", "dc", "lr")}
   exif:DateTimeOriginal="2020:05:01 10:11:12"
   {f'xmp:Rating="{rating}"' if rating else ""}
   xmpMM:DerivedFrom="IMG_0001.NEF"
   darktable:xmp_version="4"
   darktable:raw_params="0"
   darktable:history_end="2">
   <darktable:history>
    <rdf:Seq>
     <rdf:li darktable:num="0" darktable:operation="rawprepare" darktable:params="1e00"/>
     <rdf:li darktable:num="1" darktable:operation="exposure" darktable:params="gz03eJxjYGBg=" darktable:enabled="1"/>
    </rdf:Seq>
   </darktable:history>
   <darktable:colorlabels>{listed("Seq", ["1", "3"])}</darktable:colorlabels>
{subject}   <lr:hierarchicalSubject>{listed("Bag", ["places|sea", "darktable|exported"])}</lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def digikam(rating: str, words: list[str]) -> str:
    stars = f'xmp:Rating="{rating}" MicrosoftPhoto:Rating="75"' if rating else ""
    subject = f"<dc:subject>{listed('Bag', words)}</dc:subject>" if words else ""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""
{declared("digiKam", "MicrosoftPhoto", "xmp", "dc", "mwg-rs", "stArea")}
   {stars} digiKam:ColorLabel="0" digiKam:PickLabel="3">
   <digiKam:TagsList>{listed("Seq", ["People/Ana", "Places/Köln"])}</digiKam:TagsList>
   <dc:title><rdf:Alt>
    <rdf:li xml:lang="de-DE">Am Rhein</rdf:li>
    <rdf:li xml:lang="x-default">By the river</rdf:li>
    <rdf:li xml:lang="fr">Au bord du Rhin &amp; plus</rdf:li>
   </rdf:Alt></dc:title>
   {subject}
   <mwg-rs:Regions rdf:parseType="Resource">
    <mwg-rs:RegionList><rdf:Bag><rdf:li>
     <rdf:Description mwg-rs:Name="Ana" mwg-rs:Type="Face">
      <mwg-rs:Area stArea:x="0.5" stArea:y="0.25" stArea:w="0.1" stArea:h="0.2" stArea:unit="normalized"/>
     </rdf:Description></rdf:li></rdf:Bag></mwg-rs:RegionList>
   </mwg-rs:Regions>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def lightroom(rating: str, words: list[str]) -> str:
    subject = f"<dc:subject>{listed('Bag', words)}</dc:subject>" if words else ""
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00      ">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about=""
{declared("xmp", "aux", "exif", "photoshop", "xmpMM", "stEvt", "dc", "crs", "lr")}
   {f'xmp:Rating="{rating}"' if rating else ""}
   xmp:MetadataDate="2024-05-06T07:08:09+02:00" xmp:CreateDate="2024-05-06T07:08:09.25"
   aux:SerialNumber="0123" aux:LensInfo="240/10 700/10 0/0 0/0"
   photoshop:SidecarForExtension="NEF" photoshop:DateCreated="2024-05-06T07:08:09.25"
   xmpMM:DocumentID="xmp.did:1" xmpMM:OriginalDocumentID="ABC"
   dc:format="image/x-nikon-nef" crs:Version="15.0" crs:Exposure2012="+0.35" crs:RawFileName="IMG_0001.NEF">
   <exif:ISOSpeedRatings>{listed("Seq", ["400"])}</exif:ISOSpeedRatings>
   <exif:Flash exif:Fired="False" exif:Return="0" exif:Mode="2"/>
   <xmpMM:History><rdf:Seq>
    <rdf:li stEvt:action="derived" stEvt:parameters="saved to new location"/>
    <rdf:li stEvt:action="saved" stEvt:when="2024-05-06T08:00:00+02:00" stEvt:changed="/metadata"/>
   </rdf:Seq></xmpMM:History>
   <dc:creator>{listed("Seq", ["Ana &lt;ana@example.org&gt;"])}</dc:creator>
   <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© 2024 Ana</rdf:li></rdf:Alt></dc:rights>
   {subject}
   <lr:hierarchicalSubject>{listed("Bag", ["animals|dog"])}</lr:hierarchicalSubject>
   <crs:ToneCurvePV2012>{listed("Seq", ["0, 0", "64, 56", "255, 255"])}</crs:ToneCurvePV2012>
   <crs:Look><rdf:Description crs:Name="Adobe Color" crs:Amount="1">
    <crs:Group><rdf:Alt><rdf:li xml:lang="x-default">Profiles</rdf:li></rdf:Alt></crs:Group>
   </rdf:Description></crs:Look>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def capture_one(rating: str, words: list[str]) -> str:
    stars = f"<xmp:Rating>{rating}</xmp:Rating>" if rating else ""
    subject = f"<dc:subject>{listed('Bag', words)}</dc:subject>" if words else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0">
   <rdf:RDF xmlns:rdf="{RDF}">
      <rdf:Description rdf:about=""
{declared("xmp", "dc", "photoshop", "Iptc4xmpCore", "lr")}>
         {stars}
         <dc:creator>{listed("Seq", ["Ana"])}</dc:creator>
         {subject}
         <photoshop:City>Köln</photoshop:City>
         <Iptc4xmpCore:CreatorContactInfo rdf:parseType="Resource">
            <Iptc4xmpCore:CiAdrCity>Köln</Iptc4xmpCore:CiAdrCity>
            <Iptc4xmpCore:CiEmailWork>ana@example.org</Iptc4xmpCore:CiEmailWork>
         </Iptc4xmpCore:CreatorContactInfo>
         <lr:hierarchicalSubject>{listed("Bag", ["a|b", "a|c"])}</lr:hierarchicalSubject>
      </rdf:Description>
   </rdf:RDF>
</x:xmpmeta>
"""


def immich(rating: str, words: list[str]) -> str:
    stars = f"""
 <rdf:Description rdf:about=''
  xmlns:xmp='{NAMES["xmp"]}'>
  <xmp:Rating>{rating}</xmp:Rating>
 </rdf:Description>
"""
    subject = f"""
 <rdf:Description rdf:about=''
  xmlns:dc='{NAMES["dc"]}'>
  <dc:description>
   <rdf:Alt>
    <rdf:li xml:lang='de'>Ein Hund</rdf:li>
   </rdf:Alt>
  </dc:description>
  <dc:subject>
   {listed("Bag", words)}
  </dc:subject>
 </rdf:Description>
"""
    return f"""<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='{RDF}'>

 <rdf:Description rdf:about=''
  xmlns:digiKam='{NAMES["digiKam"]}'>
  <digiKam:TagsList>
   {listed("Seq", ["animals/dog", "green"])}
  </digiKam:TagsList>
 </rdf:Description>
{subject if words else ""}{stars if rating else ""}
 <rdf:Description rdf:about=''
  xmlns:exif='{NAMES["exif"]}'>
  <exif:GPSLatitude>50,56.28N</exif:GPSLatitude>
  <exif:DateTimeOriginal>2024-05-06T07:08:09+02:00</exif:DateTimeOriginal>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""


def unusual(rating: str, words: list[str]) -> str:
    """Legal and rare: other prefixes, a comment, a named list, a qualified value, no outer element."""
    stars = f"<xap:Rating><rdf:Description><rdf:value>{rating}</rdf:value></rdf:Description></xap:Rating>"
    subject = f'<rdf:Bag rdf:nodeID="words">{"".join(f"<rdf:li>{word}</rdf:li>" for word in words)}</rdf:Bag>'
    return f"""<rdf:RDF xmlns:rdf="{RDF}" xmlns:xap="{NAMES["xmp"]}" xmlns:DC="{NAMES["dc"]}" xmlns:my="http://my.example/1/">
 <!-- kept by hand -->
 {subject if words else ""}
 <rdf:Description rdf:about="uuid:1" my:note="a &quot;note&quot;&#10;of two lines" xap:CreatorTool="F-Spot">
  {'<DC:subject rdf:nodeID="words"/>' if words else ""}
  {stars if rating else ""}
  <my:empty/>
  <my:text><![CDATA[<b>kept</b>]]></my:text>
  <my:link rdf:resource="http://example.org/"/>
 </rdf:Description>
</rdf:RDF>
"""


def utf16(rating: str, words: list[str]) -> bytes:
    packet = f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{lightroom(rating, words)}<?xpacket end="w"?>'
    return packet.encode("utf-16")


SHAPES = {
    "darktable": darktable,
    "digikam": digikam,
    "lightroom": lightroom,
    "capture_one": capture_one,
    "immich": immich,
    "unusual": unusual,
    "utf16": utf16,
}
RATINGS = ("", "0", "-1", "3", "5")
WORDS: tuple[list[str], ...] = ([], ["dog", "Köln &amp; Rhein"])


def sidecars() -> dict[str, bytes]:
    """Every shape with every rating, with and without keywords, by a name for each."""
    found = {}
    for name, shape in SHAPES.items():
        for rating in RATINGS:
            for words in WORDS:
                made = shape(rating, words)
                data = made if isinstance(made, bytes) else made.encode()
                found[f"{name}_{rating or 'none'}_{len(words)}"] = data
    return found
