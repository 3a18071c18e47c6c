"""Convert model.pdmodel and model.pdiparams of the current folder to model.nb with Paddle Lite's opt.

Arguments: the folder that holds paddlelite, then the job as JSON {"place", "fp16", "quant"}. opt ends the process
by abort() or exit() when it gives up, so the caller looks at how this process ended and at what it wrote.
"""

import json
import os
import resource
import sys

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path.insert(0, sys.argv[1])

from paddlelite.lite import Opt  # noqa: E402


def main():
    job = json.loads(sys.argv[2])
    opt = Opt()
    opt.set_model_file("model.pdmodel")
    opt.set_param_file("model.pdiparams")
    opt.set_model_type("naive_buffer")
    opt.set_optimize_out("model")
    if job["fp16"]:
        opt.enable_fp16()  # opt reads it while it sets the places, so it comes first
    opt.set_valid_places(job["place"])
    if job["quant"]:
        opt.set_quant_model(True)
        opt.set_quant_type(job["quant"])
    opt.run()


main()
sys.stdout.flush()
sys.stderr.flush()
# The file is written; the destructors of opt's libraries have nothing left to do but to fail.
os._exit(0)
