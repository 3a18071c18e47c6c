"""Convert Paddle models with Paddle Lite's opt, one after another, in forks of one warm process. Runs on CPython 3.7.

Arguments: the folder that holds paddlelite. Each line of standard input is a job in JSON: {"folder", "place", "fp16",
"quant"}; the folder has model.pdmodel and model.pdiparams and gets model.nb. The answer is one line: the exit code of
the fork (negative: the signal that ended it). opt may abort: only its fork ends.
"""

import json
import os
import resource
import sys

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path.insert(0, sys.argv[1])

from paddlelite.lite import Opt  # noqa: E402


def convert(job):
    os.chdir(job["folder"])
    log = os.open("log.txt", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    opt = Opt()
    opt.set_model_file("model.pdmodel")
    opt.set_param_file("model.pdiparams")
    opt.set_model_type("naive_buffer")
    opt.set_optimize_out("model")
    if job["fp16"]:
        opt.enable_fp16()
    opt.set_valid_places(job["place"])
    if job["quant"]:
        opt.set_quant_model(True)
        opt.set_quant_type(job["quant"])
    opt.run()


def serve():
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            convert(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        answers.write(f"{code}\n")
        answers.flush()


serve()
