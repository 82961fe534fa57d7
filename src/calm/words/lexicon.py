"""Patterns by which free text is read: each is a thing claimed of a photo, in whatever words.

The phrases of :mod:`calm.words.phrases` are found as they stand; these patterns catch what a language model makes of
them, and the words of first sentences.
"""

from __future__ import annotations

import re

from calm.words.reading import COLOURS

COLOUR = "|".join(COLOURS)
_SUBJECT = r"(?:subjects?|it|main thing|weight|interest|focus|things|points of interest|happens|see)"

CLAIMS: tuple[tuple[str, int, str], ...] = (
    # key, polarity, pattern on lower-case text
    (
        "underexposed",
        -1,
        r"under-?exposed|underexposure|too (?:dark|dim)|(?:exposure|light) is too low|needs more light|underlit",
    ),
    ("overexposed", -1, r"over-?exposed|overexposure|too bright|glaring|washed[- ]out(?! and)|overly bright"),
    (
        "blown_highlights",
        -1,
        r"(?:blown|clipped|burnt)[- ](?:out )?(?:highlights|bright)"
        r"|highlights (?:are |look )?(?:blown|clipped|burnt)",
    ),
    (
        "blocked_shadows",
        -1,
        r"(?:blocked|crushed|black) shadows|shadows (?:are )?(?:blocked|crushed|lose|without detail|too deep)",
    ),
    (
        "flat_light",
        -1,
        r"flat (?:light|tones|contrast|look)"
        r"|(?:light|contrast|it|picture) (?:is|looks) (?:rather |very |a little )?flat"
        r"|low[- ]contrast|lacks? (?:of )?contrast|contrast is (?:too )?low",
    ),
    ("harsh_light", -1, r"harsh|hard light|hard-lit"),
    (
        "balanced_light",
        1,
        r"(?:exposure|light) is (?:well )?(?:balanced|even|judged|good|right)"
        r"|well[- ]exposed|(?:balanced|even|good) (?:exposure|light)|natural light"
        r"|evenly lit|naturally lit",
    ),
    ("soft_light", 1, r"(?:soft|gentle) light|light is (?:soft|gentle)|softly lit|gently lit|soft-toned"),
    ("high_key", 1, r"(?:bright|light) and airy|airy|high[- ]key"),
    (
        "strong_contrast",
        1,
        r"(?:strong|punchy|good|high)[- ]contrast|contrast is (?:strong|good|clear)|contrasty|strongly lit",
    ),
    ("low_key", 0, r"low[- ]key|dark tones|deep shadows|shadowy|moody (?:light|tones)"),
    (
        "subject_bright",
        1,
        r"(?:light|brightness) (?:is )?on the subject|subject (?:is )?(?:brighter|well lit)|well[- ]lit subject",
    ),
    (
        "subject_dark",
        -1,
        r"subject (?:is |sits |stands )?(?:lost )?in shadow|subject is (?:a little |far )?too dark|backlit",
    ),
    ("dark_on_bright", 0, r"subject (?:is )?darker than|darker subject|dark subject|brighter than the subject"),
    ("detail_kept", 1, r"(?:highlights|shadows) (?:keep|hold) (?:their )?detail"),
    ("light_left", 0, r"(?:brighter|light|bright) (?:is )?(?:on|from) the left"),
    ("light_right", 0, r"(?:brighter|light|bright) (?:is )?(?:on|from) the right"),
    ("light_top", 0, r"brighter at the top|(?:bright|brighter) (?:upper part|top)|light from above"),
    ("light_bottom", 0, r"brighter at the bottom|(?:bright|brighter) (?:lower part|bottom)|light from below"),
    (
        "rich_colour",
        1,
        r"(?:rich|vivid|vibrant|lively|saturated|strong) (?:\w+ ){0,3}(?:colou?rs?|tones)"
        r"|colou?rs are (?:rich|vivid|vibrant|lively|strong)"
        rf"|\brich (?:tones of |shades of )?(?:{COLOUR})",
    ),
    (
        "muted_colour",
        0,
        rf"(?:muted|subdued|quiet) (?:palette|colou?rs?)"
        rf"|\bmuted (?:tones of |shades of )?(?:{COLOUR})"
        rf"|colou?rs (?:are |stay )?(?:muted|subdued)",
    ),
    ("muted_colour", -1, r"dull (?:colou?rs?|palette)|colou?rs are (?:rather |very )?dull"),
    (
        "garish_colour",
        -1,
        r"garish|over-?saturated|too (?:much saturation|saturated)|saturation is (?:a little |far )?too high",
    ),
    (
        "pale_colour",
        -1,
        r"(?:pale|faded|weak) colou?rs?"
        r"|colou?rs (?:are|look) (?:a little |far )?(?:too )?(?:pale|faded)"
        r"|saturation is (?:a little |far )?too low",
    ),
    (
        "one_palette",
        1,
        r"(?:narrow|restrained|harmonious) palette|colou?rs (?:are in harmony|belong together|go together)",
    ),
    ("opposite_colours", 1, r"colou?r contrast|contrasting colou?rs|opposite colou?rs"),
    ("colour_pop", 1, r"stands out in colou?r|subject pops|colou?r of the subject"),
    ("yellow_cast", -1, r"(?:yellow|warm|orange) (?:colou?r )?cast|white balance is (?:\w+ ){0,2}too warm"),
    ("blue_cast", -1, r"(?:blue|cold|cool) (?:colou?r )?cast|white balance is (?:\w+ ){0,2}too (?:cold|cool)"),
    ("green_cast", -1, r"green(?:ish)? (?:cast|tint)"),
    ("magenta_cast", -1, r"(?:magenta|reddish|pink) (?:cast|tint)"),
    ("black_and_white", 0, r"(?<!\ba )(?<!\btwo )black[- ]and[- ]white|monochrome|shades of grey(?! and)"),
    ("warm_colour", 0, r"warm (?:colou?rs?|tones|palette)"),
    ("cool_colour", 0, r"cool (?:colou?rs?|tones|palette)"),
    ("many_colours", 0, r"(?:many|mix of|variety of) colou?rs?"),
    ("clashing_colours", -1, r"clash(?:ing|es)?|lacks? (?:of )?harmony"),
    (
        "soft",
        -1,
        r"(?:it|image|detail|subject|focus) (?:is|looks) (?:a bit |a little |rather |very |too )*(?:soft\b|blurr)"
        r"|(?:rather|too) (?:soft\b|blurr(?:y|ed))|lacks? (?:of )?sharpness|soft focus"
        r"|not sharp|out of focus(?! behind)",
    ),
    ("motion_blur", -1, r"motion blur|camera shake"),
    ("sharp", 1, r"(?:is|are|looks) (?:very )?(?:sharp|crisp)|(?:sharp|crisp) (?:detail|focus)"),
    ("noisy", -1, r"nois[ey]|grain(?!ed)"),
    ("clean", 1, r"no (?:visible )?noise|without noise|noise-free"),
    ("blocky", -1, r"compress(?:ed|ion)|blocky|artefacts"),
    (
        "separated_subject",
        1,
        r"shallow depth of field|(?:blurred|soft) background"
        r"|background (?:is |falls |stays )?(?:softly )?(?:blurred|soft|out of focus)"
        r"|isolates? the subject",
    ),
    (
        "loud_background",
        -1,
        r"background (?:is )?louder|more detail (?:than|outside|behind) the subject"
        r"|outweighs",
    ),
    (
        "good_quality",
        1,
        r"(?:technical )?quality is (?:high|good)|technically (?:clean|good|sound)"
        r"|(?:high|good) (?:technical )?quality",
    ),
    (
        "poor_quality",
        -1,
        r"(?:technical |image )?quality is (?:low|poor)|technically (?:weak|poor)"
        r"|(?:low|poor) (?:technical |image )?quality",
    ),
    ("on_third", 1, r"rule of thirds|off[- ]cent(?:re|er)|on a third"),
    ("centred", 0, r"centred|dead centre|central placing"),
    ("symmetric", 1, r"symmetr(?:y|ical|ic)"),
    ("near_edge", -1, r"close to the edge|(?:pushed to|at) the edge|out of balance|unbalanced"),
    ("cut_off", -1, r"cut(?:s)? (?:off|away|into)?|cropped too"),
    ("room_around", 1, r"room to breathe|(?:good |enough |well-judged )(?:space|room) around|has room"),
    ("little_room", -1, r"(?:little|not enough|more) room|too tight"),
    (
        "small_subject",
        0,
        r"small subject|subject is (?:\w+ ){0,2}small|lost in the frame|closer crop"
        r"|loose framing",
    ),
    ("large_subject", 0, r"large subject|fills the frame|(?:close|tight) framing|framing is (?:\w+ )?tight"),
    ("tilted", -1, r"tilt(?:ed)?|not level|slanted|leans to one side|straighten"),
    ("dark_corners", -1, r"vignett|dark corners|corners are (?:\w+ ){0,2}dark"),
    ("plain_background", 1, r"(?:plain|clean|simple|uncluttered) background|background is (?:plain|clean|simple)"),
    (
        "busy_background",
        -1,
        r"(?:busy|restless|distracting|cluttered) background"
        r"|background (?:is (?:\w+ ){0,2}busy|full of detail|distracts)",
    ),
    (
        "clear_subject",
        1,
        r"(?<!no )clear subject|subject is (?:clear|easy)"
        r"|(?:strong|clear) centre of interest|(?:strong|clear) focal point",
    ),
    (
        "no_clear_subject",
        -1,
        r"(?:no|without a|lack of a|missing) (?:clear |main |single )?(?:subject|focal point)"
        r"|lacks a (?:clear |main )?(?:subject|focal point)",
    ),
    (
        "split_attention",
        -1,
        r"attention (?:is )?(?:split|divided)|compet(?:e|ing) for the eye"
        r"|several (?:subjects|points of interest|things)|few separate things",
    ),
    ("clutter", -1, r"clutter(?:ed)?(?<!uncluttered)|crowded|too much (?:in|going on)"),
    ("calm_frame", 1, r"simplicity|uncluttered(?! background)|frame is simple"),
    ("mood:amusement", 1, r"\bfun\b|cheerful mood|humou?r|charm|playful|makes people smile|amusing"),
    ("mood:awe", 1, r"\bawe\b|wonder|impressive|grandeur"),
    ("mood:contentment", 1, r"peace(?:ful)?|restful|content(?:ed|ment)?\b|feels calm|serene"),
    ("mood:excitement", 1, r"energy|excit(?:ing|ement)|thrilling"),
    ("mood:disgust", -1, r"unpleasant|off-putting|repels|disgust"),
    ("mood:neutral", -1, r"little (?:feeling|emotion)|mood is neutral|neutral mood|unmoved|lack of feeling"),
    ("mood:fear", 0, r"eerie|tense|suspense|frighten|threaten|uneasy"),
    ("mood:sadness", 0, r"melancholy|sad(?:ness)?\b|gloomy"),
    (
        "place:left",
        0,
        r"(?<!brighter )(?<!light )(?:on the|in the|towards the) (?:upper |lower )?left(?! side)"
        r"|left of centre|left half|(?:high|low) on the left",
    ),
    (
        "place:right",
        0,
        r"(?<!brighter )(?<!light )(?:on the|in the|towards the) (?:upper |lower )?right(?! side)"
        r"|right of centre|right half|(?:high|low) on the right",
    ),
    ("place:top", 0, r"high in the frame|upper (?:half|left|right)|above the centre|high on the"),
    ("place:bottom", 0, r"low in the frame|lower (?:half|left|right)|below the centre|low on the"),
)
"""What is claimed, its polarity, and how it may be said."""

TONE_WORDS: tuple[tuple[str, str], ...] = (
    ("underexposed", r"\b(?:dim|underlit)\b"),
    ("overexposed", r"\b(?:overly bright|glaring|washed-out)\b"),
    ("low_key", r"\b(?:low-key|shadowy)\b"),
    ("dark", r"(?<!rather )\bdark (?:\w+ ){0,2}(?:frame|photo|picture|scene|view)|(?:frame|photo) is dark\b"),
    (
        "high_key",
        r"(?<!overly )(?<!rather )\bbright (?:frame|photo|picture|scene|view)"
        r"|(?:frame|photo) is (?:bright|airy)\b|\bairy (?:frame|photo|picture|scene|view)",
    ),
    (
        "flat_light",
        r"\b(?:flat|low-contrast) (?:frame|photo|picture|scene|view)|(?:frame|photo) is (?:flat|low-contrast)",
    ),
    ("soft_light", r"\bsoft (?:frame|photo|picture|scene|view)|(?:frame|photo) is soft\b"),
    ("balanced_light", r"\bbalanced (?:frame|photo|picture|scene|view)|(?:frame|photo) is balanced\b"),
)
"""Words of first sentences for the light; "dark" stands for either key of dark frames."""

PALETTE = re.compile(
    rf"\b(?:in|of|mainly) (?:mainly )?(?:rich |muted )?({COLOUR})(?: and ({COLOUR}))?"
    r"(?= ?(?:[,.;:]|$)| (?:shows|has|where|with|fill|rule|surround|tones|and (?:a|the)))"
    rf"|(?<![\w-])({COLOUR})(?: and ({COLOUR}))? tones"
)
"""Colours named as a palette, and not as those of a thing in a caption."""

GOOD_WORDS = (
    r"good|nice|well|pleasing|beautiful|lovely|strong|works|helps|fine|excellent|attractive|effective|great|right"
)
BAD_WORDS = r"bad|poor|weak|too|lacks?|distract\w*|unpleasant|hurts?|dull|wrong|not|little|missing|spoils?|messy"
TOPICS: tuple[tuple[str, str], ...] = (
    ("light", r"light(?:ing)?|exposure|contrast|shadows?|highlights?"),
    ("colour", r"colou?rs?|palette|tones?|saturation|white balance"),
    ("sharpness", r"focus|sharpness|detail|blur"),
    ("composition", r"composition|placing|layout|balance"),
    ("framing", r"framing|crop|frame"),
    ("background", r"background"),
    ("subject", r"subject|focal point"),
    ("mood", r"mood|feeling|emotion|atmosphere"),
)
"""Aspects by the words that name them, for sentences in which no pattern is found."""
