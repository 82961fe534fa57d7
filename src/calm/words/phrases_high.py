"""Words for middle- and high-level observations: composition, framing, background, subject, mood."""

HIGH: dict[str, dict[str, str]] = {
    # ---- composition and framing
    "on_third": {
        "+": "the subject sits well off centre | the placing follows the rule of thirds | the subject stands on a third of the frame"
        " | the off-centre placing is well chosen | the subject is well placed on a third",
        "+n": "an off-centre placing on a third | a well-placed subject | the rule of thirds",
    },
    "symmetric": {
        "+": "the symmetry gives order | left and right mirror each other well | the symmetrical layout is steady | the composition is symmetrical and calm",
        "+n": "a symmetrical layout | steady symmetry | the order of its symmetry",
    },
    "near_edge": {
        "-": "the subject is {too}close to the edge | the subject is pushed to the edge | the weight hangs at the edge of the frame"
        " | the composition is out of balance",
        "-n": "a subject pushed to the edge | a composition out of balance | weight at the edge of the frame",
    },
    "centred": {
        "+": "the centred subject is direct and steady | the subject holds the centre well | the central placing is simple and clear",
        "+n": "a steady, centred subject | the direct, central placing",
        "-": "the centred placing is a safe choice | the subject sits in the dead centre | the central placing is static"
        " | the centred composition is predictable",
        "-n": "a static, centred placing | the predictable central placing | a subject in the dead centre",
    },
    "room_around": {
        "+": "the subject has room to breathe | the space around the subject is well judged | there is good space around the subject"
        " | the framing leaves room on all sides",
        "+n": "room around the subject | well-judged space around the subject | framing with room to breathe",
    },
    "cut_off": {
        "-": "the edge cuts into the subject | the subject is cut off by the frame | the framing cuts the subject | part of the subject is cut away",
        "-n": "a subject cut by the edge | framing that cuts the subject | the cut at the edge",
    },
    "small_subject": {
        "+": "the small subject gives a sense of space | the wide framing shows the place | the subject is small in a wide space",
        "+n": "a small subject in a wide space | the sense of space",
        "-": "the subject is {too}small in the frame | the subject gets lost in the frame | the framing is {too}loose | a closer crop is needed",
        "-n": "a subject that is too small | loose framing | a subject lost in the frame",
    },
    "large_subject": {
        "+": "the subject fills the frame | the close framing shows detail | the tight framing has impact | it goes in close",
        "+n": "close framing | a subject that fills the frame | tight, close framing",
        "-": "the framing is {very}tight | the subject fills the frame with little air | the close framing leaves no air",
        "-n": "tight framing without air | framing that leaves no air",
    },
    "little_room": {
        "-": "there is little room around the subject | the edges come close to the subject | the subject could use more room",
        "-n": "little room around the subject | edges that come close to the subject",
    },
    "tilted": {
        "-": "the frame is tilted | the horizon is not level | the picture leans to one side | it needs to be straightened | the camera was not level",
        "-n": "a tilted frame | the slanted horizon | the tilt",
    },
    "dark_corners": {
        "-": "the corners are {too}dark | dark corners show vignetting | the light falls off in the corners | vignetting darkens the corners",
        "-n": "dark corners | vignetting | light that falls off in the corners",
    },
    "plain_background": {
        "+": "the plain background keeps attention on the subject | the background is simple and clean | the background does not distract"
        " | the uncluttered background helps",
        "+n": "a plain background | a clean, simple background | an uncluttered background",
    },
    "busy_background": {
        "-": "the background is {too}busy | the background distracts | the busy background competes with the subject | there is much going on behind the subject",
        "-n": "a busy background | a distracting background | the unrest behind the subject",
    },
    # ---- subject
    "clear_subject": {
        "+": "the subject is clear at once | the eye goes straight to the subject | the subject is easy to read | there is a clear centre of interest"
        " | the subject holds attention",
        "+n": "a clear subject | a strong centre of interest | a subject that is easy to read",
    },
    "no_clear_subject": {
        "-": "there is no clear subject | the eye finds no place to rest | it is hard to tell what the subject is | nothing stands out as the subject"
        " | the picture lacks a focal point",
        "-n": "the lack of a clear subject | a missing focal point | the absence of a main subject",
    },
    "split_attention": {
        "-": "attention is split between several things | several things compete for the eye | the eye jumps between several points"
        " | no single thing leads",
        "-n": "split attention | several things competing for the eye | attention divided between several points",
    },
    "clutter": {
        "-": "the scene is cluttered | too many small things fill the frame | the frame is crowded with detail | there is too much in the frame",
        "-n": "clutter | a crowded frame | too much in the frame",
    },
    "calm_frame": {
        "+": "the frame is simple and uncluttered | large quiet areas keep it calm | the simplicity works well | there is nothing in excess in the frame",
        "+n": "simplicity | large quiet areas | an uncluttered frame",
    },
    "clashing_colours": {
        "-": "the colours clash | the colours do not go together | one colour jars with the rest | the colours lack harmony",
        "-n": "clashing colours | a jarring colour | colours that do not go together",
    },
    # ---- mood
    "mood:amusement": {
        "+": "it is fun to look at | it makes people smile | there is charm and humour in it | the mood is cheerful | it has a playful charm",
        "+n": "a cheerful mood | playful charm | humour and charm",
    },
    "mood:awe": {
        "+": "it inspires awe | the scene is impressive | it has a sense of wonder | the view has grandeur",
        "+n": "a sense of wonder | a feeling of awe | grandeur",
    },
    "mood:contentment": {
        "+": "the mood is peaceful | it feels calm and content | there is a restful mood | it gives a sense of peace",
        "+n": "a peaceful mood | a calm, content feeling | a restful mood",
    },
    "mood:excitement": {
        "+": "it is full of energy | the moment is exciting | there is energy in it | the mood is thrilling",
        "+n": "energy | an exciting moment | a thrilling mood",
    },
    "mood:disgust": {
        "-": "the sight is unpleasant | the mood is off-putting | it is not pleasant to look at | the scene repels",
        "-n": "an unpleasant sight | an off-putting mood | its unpleasant feel",
    },
    "mood:neutral": {
        "-": "it stirs little feeling | the mood is neutral | it leaves the viewer unmoved | there is little emotion in it | it tells little of a story",
        "-n": "a neutral mood | the lack of feeling | little emotion",
    },
    "mood:fear": {
        "+": "it has a tense, eerie mood | the scene feels tense | there is suspense in it",
        "+n": "an eerie mood | tension and suspense",
        "-": "the mood is uneasy | it feels threatening | there is something frightening in it",
        "-n": "an uneasy mood | a threatening feel",
    },
    "mood:sadness": {
        "+": "the mood is melancholy and touching | its quiet sadness is moving | there is a touching sadness in it",
        "+n": "a touching, melancholy mood | quiet sadness",
        "-": "the mood is gloomy | it feels sad and heavy | there is a gloomy sadness in it",
        "-n": "a gloomy mood | a sad, heavy feeling",
    },
}
