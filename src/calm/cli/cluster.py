"""Commands on a cluster: what they ask for, and how they tell of it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from calm.cli.running import SOME_FAILED, progress_bar

if TYPE_CHECKING:
    from calm.cli.options import EngineOptions, RowOptions
    from calm.inference.output import TaskName
    from calm.inference.tasks import Task


def run_on_ray(name: TaskName, task: Task, paths: list[str], options: RowOptions, where: EngineOptions) -> int:
    """Runs to the end. Returns the exit status: 0, or 1 when some photos failed."""
    from calm.model.catalogue import model_dir, terms_to_tell
    from calm.scale import cluster
    from calm.scale.partitions import Job
    from calm.scale.sources import divide, is_url

    names = [path for path in paths if is_url(path)]
    files = [path for path in paths if not is_url(path)]
    if files:
        names += options.find(files).paths
    parts = divide(names, where.partition, where.column)
    output = re.sub(r"^(\w+):/(?=[^/])", r"\1://", str(options.output))  # a path has lost one of a URL's slashes
    if not is_url(output):
        output = os.path.abspath(output)
    model = str(model_dir(options.model).resolve()) if os.path.isdir(options.model) else options.model
    terms = terms_to_tell(options.model)
    if terms:
        options.talk.say(f"{terms} (said once)")
    job = Job(name, task, output, model, options.device, options.batch_size, options.develop, os.getcwd())
    with progress_bar(not options.talk.quiet) as advance:
        outcome = cluster.run(
            job,
            parts,
            address=where.ray_address,
            workers=where.workers,
            overwrite=options.overwrite,
            advance=lambda photos: advance(photos, None),
        )
    rate = outcome["answered_now"] / max(outcome["seconds"], 1e-9)
    options.talk.say(
        f"{outcome['photos']} photos in {outcome['partitions']} files in {output}, "
        f"{outcome['answered_now']} of them answered now ({rate:.1f} a second)"
    )
    if outcome["failed"]:
        options.talk.say(f"{outcome['failed']} of {outcome['photos']} photos failed; their rows say why")
    for each in outcome["lost"]:
        options.talk.say(f"no rows in {each}; a photo in it may be at fault; the same command tries it again")
    return SOME_FAILED if outcome["failed"] or outcome["lost"] else 0
