"""Words for low-level observations: light, colour, sharpness, noise. See :mod:`calm.words.phrases` for the format."""

LOW: dict[str, dict[str, str]] = {
    # ---- light, for
    "balanced_light": {
        "+": "the exposure is well judged | the light is even and natural | the exposure is balanced"
        " | the tones are well balanced | light and shade are in balance | the light is well handled"
        " | the tones run cleanly from dark to bright",
        "+n": "balanced exposure | even, natural light | well-judged exposure | well-balanced tones | natural light",
    },
    "soft_light": {
        "+": "the light is soft | soft light keeps the tones gentle | the tones change gently"
        " | the light is gentle, without hard shadows | the soft light is kind to the scene | the light falls softly",
        "+n": "soft light | gentle light | soft, gentle tones | light without hard shadows",
    },
    "high_key": {
        "+": "the bright tones feel light and airy | the frame is bright and open | the light is bright and fresh"
        " | the bright tones feel fresh | the picture is bright and airy",
        "+n": "bright, airy light | fresh, bright tones | a bright and open look",
    },
    "strong_contrast": {
        "+": "the strong contrast gives it punch | the contrast is strong and clear | dark and bright parts play well together"
        " | the tonal range is full | deep darks and clean brights give it depth",
        "+n": "strong contrast | a full tonal range | punchy contrast | deep darks and clean brights",
    },
    "subject_bright": {
        "+": "the light picks out the subject | the subject is brighter than what surrounds it | the subject glows against the darker surroundings"
        " | light draws the eye to the subject | the subject is well lit",
        "+n": "a well-lit subject | the light on the subject | a bright subject on darker surroundings",
    },
    "detail_kept": {
        "+": "no detail is lost in the highlights | highlights and shadows keep their detail | the highlights hold their detail"
        " | detail is kept from dark to bright",
        "+n": "detail in highlights and shadows | well-held highlights",
    },
    # ---- light, against
    "underexposed": {
        "-": "the frame is {too}dark | the exposure is {too}low | it is {too}dark to show detail | the picture is {too}dim"
        " | the scene needs more light | it is underexposed | the whole frame is {too}dark",
        "-n": "underexposure | a dark, underexposed frame | the low exposure | too little light",
    },
    "overexposed": {
        "-": "the frame is {too}bright | the exposure is {too}high | the light is {too}strong and washes out detail"
        " | it is overexposed | the picture looks washed out | the whole frame is {too}bright",
        "-n": "overexposure | a washed-out, overexposed frame | the high exposure | too much light",
    },
    "blown_highlights": {
        "-": "the brightest parts are blown out | the highlights are clipped | the highlights lose their detail"
        " | some bright areas burn out | the bright areas are pure white, without detail",
        "-n": "blown highlights | clipped highlights | burnt-out bright areas",
    },
    "blocked_shadows": {
        "-": "the shadows are blocked up | the shadows lose their detail | the dark parts sink into black"
        " | the dark areas hold no detail | the shadows go fully black",
        "-n": "blocked shadows | shadows without detail | dark areas that sink into black",
    },
    "flat_light": {
        "-": "the light is {very}flat | the contrast is {too}low | the tones lack contrast | it looks {very}flat"
        " | the picture lacks contrast | there is little contrast",
        "-n": "flat light | low contrast | a lack of contrast | flat tones",
    },
    "harsh_light": {
        "-": "the contrast is {too}harsh | the light is {very}harsh | harsh light clips both ends | hard light splits it into white and black",
        "-n": "harsh light | harsh contrast | hard, harsh shadows and highlights",
    },
    "subject_dark": {
        "-": "the subject is {too}dark against its surroundings | the subject sits in shadow | the background is brighter than the subject"
        " | the bright surroundings pull the eye from the darker subject | the subject needs more light",
        "-n": "a subject in shadow | a background brighter than the subject | a dark subject on bright surroundings",
    },
    # ---- light, depends
    "low_key": {
        "+": "the dark tones set a mood | the deep shadows add drama | the low-key light is dramatic | the dark tones hold the scene together"
        " | the darkness adds atmosphere",
        "+n": "dark, moody tones | low-key light | dramatic shadows",
        "-": "most of the frame stays dark | the dark tones feel heavy | darkness takes up most of the frame | the dark parts weigh it down",
        "-n": "heavy dark tones | the darkness over most of the frame",
    },
    "light_left": {
        "+": "light from the left gives it shape | the brighter left side gives direction",
        "+n": "light from the left | a brighter left side",
        "-": "the left side is brighter than the right | the light is uneven, strong on the left",
        "-n": "uneven light, strong on the left",
    },
    "light_right": {
        "+": "light from the right gives it shape | the brighter right side gives direction",
        "+n": "light from the right | a brighter right side",
        "-": "the right side is brighter than the left | the light is uneven, strong on the right",
        "-n": "uneven light, strong on the right",
    },
    "light_top": {
        "+": "light from above opens the scene | the bright upper part gives air",
        "+n": "light from above | a bright upper part",
        "-": "the upper part is much brighter than the rest | the bright top pulls the eye away",
        "-n": "the bright top of the frame | an upper part that is too bright",
    },
    "light_bottom": {
        "+": "the bright lower part anchors the scene | light from below leads in",
        "+n": "a bright lower part | light in the lower part",
        "-": "the lower part is much brighter than the rest | the bright bottom pulls the eye down",
        "-n": "the bright bottom of the frame",
    },
    # ---- colour, for
    "rich_colour": {
        "+": "the colours are rich | the colours are vivid | the strong colours catch the eye | the colours are full of life"
        " | rich colour brings it to life | the saturated colours have impact",
        "+n": "rich colour | vivid colours | strong, lively colours | saturated colour",
    },
    "one_palette": {
        "+": "the colours belong together | a narrow palette ties it together | the colours are in harmony"
        " | the close tones of colour feel united | the restrained palette works",
        "+n": "a narrow, harmonious palette | colours that belong together | a restrained palette",
    },
    "opposite_colours": {
        "+": "the colours contrast well | opposite colours set each other off | the colour contrast is lively"
        " | warm and cool colours play against each other",
        "+n": "lively colour contrast | opposite colours | contrasting colours",
    },
    "colour_pop": {
        "+": "the subject stands out in colour | the colour of the subject sets it apart | the subject pops against the colours behind it"
        " | colour separates the subject from its surroundings",
        "+n": "a subject that stands out in colour | the colour of the subject | colour that sets the subject apart",
    },
    # ---- colour, against
    "garish_colour": {
        "-": "the colours are {too}strong | the colours are oversaturated | the saturation is {too}high | some colours look garish"
        " | the colours are pushed too far",
        "-n": "oversaturated colour | garish colours | too much saturation",
    },
    "pale_colour": {
        "-": "the colours are {too}pale | the colours look washed out and weak | the colours lack strength | the saturation is {too}low"
        " | the colours need more saturation",
        "-n": "pale, weak colours | a lack of saturation | faded colour",
    },
    "yellow_cast": {
        "-": "a yellow cast lies over the picture | the white balance is {too}warm | the colours lean {too}far to yellow"
        " | everything looks {too}yellow | there is a warm cast",
        "-n": "a yellow cast | a white balance that is too warm | a warm cast over the whites",
    },
    "blue_cast": {
        "-": "a blue cast lies over the picture | the white balance is {too}cold | the colours lean {too}far to blue"
        " | everything looks {too}blue | there is a cold cast",
        "-n": "a blue cast | a white balance that is too cold | a cold cast over the whites",
    },
    "green_cast": {
        "-": "a green cast lies over the picture | the colours lean {too}far to green | the bright parts look greenish | there is a green cast",
        "-n": "a green cast | a greenish tint in the bright parts",
    },
    "magenta_cast": {
        "-": "a magenta cast lies over the picture | the colours lean {too}far to magenta | the bright parts look reddish"
        " | there is a magenta cast",
        "-n": "a magenta cast | a reddish tint in the bright parts",
    },
    # ---- colour, depends
    "black_and_white": {
        "+": "black and white suits the scene | the black-and-white treatment puts shape first | without colour, form and tone take over",
        "+n": "the black-and-white treatment | the choice of black and white | black-and-white tones",
        "-": "without colour it loses some life | the grey tones leave it a bit dry | the black-and-white treatment adds little",
        "-n": "the loss of colour | dry grey tones",
    },
    "muted_colour": {
        "+": "the muted palette is quiet and calm | the quiet colours suit it | the subdued colours are tasteful | muted colour keeps it calm",
        "+n": "a quiet, muted palette | subdued colour | calm, muted colours",
        "-": "the colours are {very}dull | the palette stays dull | there is little colour to hold the eye | the dull colours give it little life",
        "-n": "dull colours | a dull palette | a lack of colour",
    },
    "warm_colour": {
        "+": "the warm colours are inviting | warm tones give it comfort | the warm palette feels pleasant | the warm tones glow",
        "+n": "warm colours | warm, inviting tones | a warm palette",
        "-": "the warm tones take over | the warm colours leave little variety",
        "-n": "warm tones that take over | too many warm tones",
    },
    "cool_colour": {
        "+": "the cool colours are fresh | cool tones keep it calm | the cool palette feels clean | the blue tones give it calm",
        "+n": "cool colours | cool, fresh tones | a cool palette",
        "-": "the cool tones leave it cold | the cool colours keep it at a distance",
        "-n": "cold, cool tones | cool tones that leave it cold",
    },
    "many_colours": {
        "+": "the many colours make it lively | the mix of colours is cheerful | the variety of colour is lively",
        "+n": "a lively mix of colours | a cheerful variety of colour",
        "-": "too many colours compete | the mix of colours is restless | the colours do not come together",
        "-n": "too many competing colours | a restless mix of colours",
    },
    # ---- focus
    "separated_subject": {
        "+": "the subject is crisp against a soft background | the blurred background sets the subject apart"
        " | the background falls softly out of focus | shallow depth of field isolates the subject"
        " | the focus stays on the subject",
        "+n": "a soft background behind a crisp subject | shallow depth of field | focus that isolates the subject | a softly blurred background",
    },
    "missed_focus": {
        "-": "the background holds more detail than the subject | the focus misses the subject | the subject is softer than the background"
        " | the sharpest detail lies outside the subject",
        "-n": "focus that misses the subject | a background with more detail than the subject | a subject softer than the background",
    },
    "sharp": {
        "+": "the detail is sharp | the image is sharp | the focus is crisp | fine detail is crisp | edges are clean and sharp",
        "+n": "sharp detail | crisp focus | crisp, fine detail",
    },
    "soft": {
        "-": "the image is {very}soft | the detail is blurred | it is {very}blurry | the focus is {very}soft | fine detail is lost to blur"
        " | it lacks sharpness",
        "-n": "blur | soft focus | a lack of sharpness | blurred detail",
    },
    "motion_blur": {
        "-": "motion has blurred the image | camera shake blurs the detail | the picture is smeared by movement | there is motion blur",
        "-n": "motion blur | camera shake | smearing from movement",
    },
    "clean": {
        "+": "the image is clean, without noise | smooth areas are clean | there is no visible noise",
        "+n": "clean, noise-free tones | clean smooth areas",
    },
    "noisy": {
        "-": "noise is visible in the smooth parts | the image is {very}noisy | grain covers the picture | the noise is distracting",
        "-n": "visible noise | noise in the smooth parts | coarse grain",
    },
    "blocky": {
        "-": "compression has left blocks | compression artefacts are visible | the picture is {too}heavily compressed | blocky artefacts show",
        "-n": "compression artefacts | visible compression blocks | heavy compression",
    },
    "good_quality": {
        "+": "the technical quality is high | it is technically clean | the technique is sound | the craft is solid",
        "+n": "high technical quality | sound technique | clean technique | solid craft",
    },
    "poor_quality": {
        "-": "the technical quality is low | it is technically weak | the technique is poor | the image quality is poor",
        "-n": "low technical quality | weak technique | poor image quality",
    },
}
