"""The commands and their options. Each imports what it needs when it is called, so that ``--help`` is quick."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from edge_kit.cli.words import WORDS_GIVEN, OcrCommand
from model_opt.errors import KitError

LIBRARIES_HINT = "on Debian: apt-get install libgl1 libglib2.0-0 libgomp1"

INTERRUPTED, READER_LEFT = 130, 141
"""Exit codes after Ctrl-C, and after the reader of a pipe left: those of other programs (128 and the signal)."""


class _Commands(TyperGroup):
    """The commands, ended by their own exit codes where Typer has 1 for a pipe that was closed and is silent."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt as error:
            sys.stderr.write(f"edge-kit: {error or 'interrupted'}\n")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output went away (`| head`): end quietly, and keep Python from flushing into it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(READER_LEFT) from None


app = typer.Typer(
    name="edge-kit",
    cls=_Commands,
    help="From a pinned PP-OCRv4 mobile model to a verified Paddle Lite bundle for the device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(no_args_is_help=True, help="The pinned models: list, fetch, verify.")
devices_app = typer.Typer(no_args_is_help=True, help="Device profiles: list, show.")
recipes_app = typer.Typer(no_args_is_help=True, help="Quantisation recipes: list.")
hpi_app = typer.Typer(no_args_is_help=True, help="High-performance inference: report.")
config_app = typer.Typer(no_args_is_help=True, help="Pipeline files: export, convert.")
app.add_typer(models_app, name="models")
app.add_typer(devices_app, name="devices")
app.add_typer(recipes_app, name="recipes")
app.add_typer(hpi_app, name="hpi")
app.add_typer(config_app, name="config")

Models = Annotated[
    str | None,
    typer.Option("--models", help="A set of 'models list': detector, recogniser, profile (default: v4 mobile)."),
]
DetModel = Annotated[
    str | None,
    typer.Option("--det-model", help="Detector: a name of 'models list', or a folder, tar or ONNX file of your own."),
]
RecModel = Annotated[
    str | None,
    typer.Option("--rec-model", help="Recogniser: a name of 'models list', or a folder, tar or ONNX file of your own."),
]
Engine = Annotated[str | None, typer.Option("--engine", help="nb, server, lite_x86, onnx or openvino (default: nb).")]
FromBundle = Annotated[Path | None, typer.Option("--bundle", help="Use the specification and models of this bundle.")]
PipelineFile = Annotated[
    str | None, typer.Option("--pipeline", help="A pipeline file (YAML), the kit's or PaddleX's; ocr: the default one.")
]
Spec = Annotated[
    str | None, typer.Option("--spec", help="Specification profile (default: that of the set), such as paddlex-3.")
]
RecDict = Annotated[
    Path | None, typer.Option("--rec-dict", help="Dictionary of your own recogniser, one character a line.")
]
Converter = Annotated[
    str, typer.Option(help="Converter of the .nb files: own, or opt (Paddle Lite's, which needs CPython 3.7 to 3.10).")
]
Calibration = Annotated[
    Path | None, typer.Option(help="A folder of your own images to calibrate on, in place of the kit's.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Use the cache only; never download.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]

DeviceSerial = Annotated[
    str | None, typer.Option("--device", help="Serial of an Android device that adb sees; auto: the only one.")
]
Apk = Annotated[Path | None, typer.Option("--apk", help="The app to install (default: the bundle's own).")]
AppReport = Annotated[Path | None, typer.Option("--report", help="Keep the app's self-test report in this file.")]
Timeout = Annotated[float, typer.Option(min=1.0, help="Seconds that the app may take.")]


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that were given as settings of a pipeline, paths as text."""
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in options.items() if value is not None
    }


@app.command()
def build(
    target: Annotated[str, typer.Option(help="What to build for: arm64, arm64-fp16, arm64-opencl, armv7 or x86.")],
    recipe: Annotated[str, typer.Option(help="A name of 'recipes list', or auto: the smallest that passes.")] = "fp32",
    device_profile: Annotated[str | None, typer.Option(help="A name of 'devices list', or a profile file.")] = None,
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    images: Annotated[Path | None, typer.Option(help="A folder of your own images to verify on as well.")] = None,
    calibration: Calibration = None,
    out: Annotated[Path | None, typer.Option(help="Output folder (default: build/<target>).")] = None,
    offline: Offline = False,
    jobs: Annotated[int, typer.Option(min=1, help="Stages that may run at once.")] = 2,
    allow_failed_gates: Annotated[
        bool, typer.Option("--allow-failed-gates", help="Write the bundle even if a gate fails; the manifest says so.")
    ] = False,
    optimise: Annotated[
        bool, typer.Option("--optimise/--no-optimise", help="Rewrite the program into fewer operators first.")
    ] = True,
    converter: Converter = "own",
    apk: Annotated[
        bool | None, typer.Option("--apk/--no-apk", help="Build the Android app or not (default: yes, for ARM).")
    ] = None,
    abi: Annotated[
        str | None, typer.Option(help="Processors of the app: arm64-v8a, armeabi-v7a, x86_64, or several with commas.")
    ] = None,
    keystore: Annotated[
        Path | None, typer.Option(help="Sign the app with your key; its password is in EDGE_KIT_KEYSTORE_PASS.")
    ] = None,
    lite_runtime: Annotated[
        Path | None, typer.Option(help="Paddle Lite's release for Android: an archive, or a folder of such files.")
    ] = None,
    require_lite: Annotated[
        bool, typer.Option("--require-lite", help="Fail when the app cannot have Paddle Lite's runtime.")
    ] = False,
    application_id: Annotated[
        str | None,
        typer.Option(help="The app's id, as in com.example.reader; apps with different ids can be installed together."),
    ] = None,
    app_name: Annotated[str | None, typer.Option(help="The app's name on the device, in every language.")] = None,
    version_code: Annotated[
        int | None, typer.Option(help="The app's version code, 1 to 2100000000; Android updates to a larger one only.")
    ] = None,
    json_events: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Fetch, optimise, convert, verify, configure, report, and package the app: one verified bundle."""
    from edge_kit.cli.build import run_build
    from edge_kit.jobs.request import BuildRequest, app_request

    request = BuildRequest(
        target=target,
        recipe=recipe,
        device_profile=device_profile,
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        images=images,
        out=out or Path("build") / target,
        offline=offline,
        jobs=jobs,
        allow_failed_gates=allow_failed_gates,
        optimise=optimise,
        converter=converter,
        calibration=calibration,
        app=app_request(target, apk, abi, keystore, lite_runtime, require_lite, application_id, app_name, version_code),
    )
    raise typer.Exit(run_build(request, json_events=json_events))


@app.command()
def quantize(
    recipe: Annotated[str, typer.Option(help="A name of 'recipes list'.")],
    target: Annotated[str, typer.Option(help="What the file is for; see 'build'.")] = "arm64",
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    images: Annotated[Path | None, typer.Option(help="A folder of your own images to verify on as well.")] = None,
    calibration: Calibration = None,
    converter: Converter = "own",
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("build/quantized"),
    offline: Offline = False,
    allow_failed_gates: Annotated[
        bool, typer.Option("--allow-failed-gates", help="Write the files even if a gate fails.")
    ] = False,
) -> None:
    """Quantise one model by a recipe and apply the recipe's gates; both when neither --det-model nor --rec-model.

    The model of the other role stays in fp32 meanwhile.
    """
    from edge_kit.cli.quantize import run_quantize
    from edge_kit.jobs.request import BuildRequest
    from edge_kit.stages.results import ROLES

    given = {"det": det_model, "rec": rec_model}
    roles = [role for role in ROLES if given[role]] or list(ROLES)
    request = BuildRequest(
        target=target,
        recipe=recipe,
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        images=images,
        out=out,
        offline=offline,
        allow_failed_gates=allow_failed_gates,
        calibration=calibration,
        converter=converter,
    )
    raise typer.Exit(run_quantize(request, roles))


@app.command(cls=OcrCommand, epilog="The options of paddlex and paddleocr are understood too: docs/paddlex.md.")
def ocr(
    context: typer.Context,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Images, PDF files, folders or http(s) addresses.", metavar="PATH")
    ] = None,
    engine: Engine = None,
    bundle: FromBundle = None,
    pipeline: PipelineFile = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu:0, gpu:0,1, npu, auto …: docs/devices-host.md.")] = None,
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to use (default: all cores).")] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for pictures with boxes and texts.")] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", help="Write one JSON line per image or page to this file (- for standard output)."),
    ] = None,
    offline: Offline = False,
) -> None:
    """Read text in images, and in PDF, TIFF and animations by page, on this machine."""
    from edge_kit.cli.ocr import OcrRequest, run_ocr, with_words

    settings = _given(
        engine=engine,
        device=device,
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        threads=threads,
        offline=offline or None,
    )
    request = OcrRequest(tuple(paths or ()), settings, bundle, pipeline, save, json_file)
    raise typer.Exit(run_ocr(with_words(request, context.meta[WORDS_GIVEN])))


@app.command(cls=OcrCommand, epilog="Settings of 'ocr' are understood too: docs/batch.md.")
def batch(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the results; an earlier run in it goes on.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Files, folders, globs, tar archives, and lists: @FILE, one path a line.", metavar="INPUT"),
    ] = None,
    list_file: Annotated[
        list[Path] | None, typer.Option("--list", help="A file with one path a line, as @FILE; may be repeated.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="jsonl, or parquet (extra 'batch').")] = "jsonl",
    shard_size: Annotated[int, typer.Option(min=1, help="Inputs to a file of rows.")] = 200,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Worker processes; 0: one for two threads, at least two.")
    ] = 0,
    on: Annotated[str, typer.Option(help="local, or ray: Ray Data's actors (extra 'ray').")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster, as in head:6379 (default: this machine).")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Compare two engines instead: server,nb; the first is the reference.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Whose gates judge a comparison (default: the bundle's, or fp32).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    engine: Engine = None,
    bundle: FromBundle = None,
    pipeline: PipelineFile = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu:0, npu, auto …: docs/devices-host.md.")] = None,
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of all workers (default: all cores).")] = None,
    offline: Offline = False,
) -> None:
    """Read text in any number of images; a rerun goes on where the last one stopped (docs/batch.md).

    Exit code 1: some inputs could not be read (their rows have the error), or a gate of --compare failed.
    """
    from edge_kit.cli.batch import BatchOptions, run_batch_command, with_batch_words

    settings = _given(
        engine=engine,
        device=device,
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        threads=threads,
        offline=offline or None,
    )
    options = BatchOptions(
        inputs=(*(paths or ()), *(f"@{file}" for file in list_file or ())),
        out=out,
        form=form,
        settings=settings,
        pipeline=pipeline,
        bundle=bundle,
        shard_size=shard_size,
        workers=workers,
        compare=compare,
        recipe=recipe,
        on=on,
        ray_address=ray_address,
        as_json=as_json,
    )
    raise typer.Exit(run_batch_command(with_batch_words(options, context.meta[WORDS_GIVEN])))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Worker processes; 0: one for two threads, at least two.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads of all workers together; 0: all cores.")] = 0,
    engine: Engine = None,
    bundle: FromBundle = None,
    pipeline: Annotated[Path | None, typer.Option(help="A pipeline file (YAML).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, gpu:0, gpu:0,1, npu, auto …: docs/devices-host.md.")] = None,
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    visualize: Annotated[
        bool, typer.Option("--visualize/--no-visualize", help="Put pictures into answers unless a request says no.")
    ] = True,
    allow_url: Annotated[
        list[str] | None, typer.Option(help="A host (or host:port) from which files are fetched; may be repeated.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="A file with the key that clients must send (else EDGE_KIT_API_KEY).")
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="MiB of one request.")] = 32,
    max_pixels: Annotated[int, typer.Option(min=1, help="Pixels of a picture or page.")] = 178_956_970,
    max_pages: Annotated[int, typer.Option(min=0, help="Pages read of a PDF or TIFF; 0: all.")] = 10,
    max_worker_memory: Annotated[
        int, typer.Option(min=128, help="MiB of a worker; one that takes more is replaced.")
    ] = 4096,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait for a worker.")] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds from a complete request to its answer.")] = 60.0,
    body_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds in which a body must come.")] = 30.0,
    drain: Annotated[float, typer.Option(min=0.0, help="Seconds that requests may go on after SIGTERM.")] = 30.0,
    access_log: Annotated[bool, typer.Option("--access-log", help="Write a line for each request.")] = False,
    offline: Offline = False,
) -> None:
    """Serve PaddleX's HTTP interface and a page for browsers on this machine (docs/serve.md)."""
    from edge_kit.cli.serve import read_key, run_serve
    from edge_kit.serve.settings import MIB, Limits, ServeSettings

    options = _given(
        engine=engine,
        bundle=bundle,
        device=device,
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        offline=offline or None,
    )
    limits = Limits(
        body_bytes=max_body * MIB,
        body_seconds=body_timeout,
        pixels=max_pixels,
        pages=max_pages or None,
        queue=queue,
        seconds=timeout,
        worker_memory=max_worker_memory * MIB,
    )
    settings = ServeSettings(
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        pipeline=str(pipeline or "ocr"),
        options=options,
        limits=limits,
        visualize=visualize,
        url_hosts=tuple(host.lower() for host in allow_url or ()),
        api_key=read_key(api_key_file),
        drain_seconds=drain,
        access_log=access_log,
    )
    raise typer.Exit(run_serve(settings))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    images: Annotated[Path | None, typer.Option(help="A folder of your own images to verify on as well.")] = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    offline: Offline = False,
    device: DeviceSerial = None,
    apk: Apk = None,
    report: AppReport = None,
    timeout: Timeout = 900.0,
) -> None:
    """Check every checksum of a bundle and run its gates again, on this machine or by the app on a device (--device).

    A bundle of your own models needs them again (--det-model, --rec-model, --rec-dict): they are the reference.
    """
    if device is not None:
        from edge_kit.cli.device import DeviceRequest, run_device_verify

        raise typer.Exit(run_device_verify(DeviceRequest(bundle, device, apk, report, timeout)))
    from edge_kit.cli.build import run_verify
    from edge_kit.jobs.verify import VerifyRequest

    given = VerifyRequest(det_model, rec_model, rec_dict, images, offline)
    raise typer.Exit(run_verify(bundle, given))


@app.command()
def bench(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    device: DeviceSerial = "auto",
    apk: Apk = None,
    threads: Annotated[str, typer.Option(help="Numbers of threads to try.")] = "1,2,4",
    power: Annotated[str, typer.Option(help="Power modes to try.")] = "LITE_POWER_HIGH,LITE_POWER_NO_BIND",
    passes: Annotated[int, typer.Option(min=1, help="How often all settings are measured, in alternating order.")] = 3,
    pause: Annotated[float, typer.Option(min=0.0, help="Seconds between two runs of the app.")] = 5.0,
    cool_down: Annotated[
        float, typer.Option(min=0.0, help="Longest wait for a hot device to cool before each run, in seconds.")
    ] = 180.0,
    save: Annotated[Path | None, typer.Option(help="Write the suggested device profile to this file.")] = None,
    report: AppReport = None,
    timeout: Timeout = 3600.0,
) -> None:
    """Measure the app on a device over threads and power modes, and suggest a device profile."""
    from edge_kit.cli.device import DeviceRequest, parse_modes, parse_threads, run_device_bench
    from edge_kit.deploy.bench import BenchRequest

    request = DeviceRequest(bundle, device or "auto", apk, report, timeout)
    wanted = BenchRequest(
        parse_threads(threads), parse_modes(power), passes, seconds=timeout, pause_seconds=pause, cool_seconds=cool_down
    )
    raise typer.Exit(run_device_bench(request, wanted, save))


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A Paddle Lite .nb file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    onnx: Annotated[Path | None, typer.Option(help="Also write the file's translation to ONNX here.")] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="BEFORE", help="Compare FILE with this earlier .nb file instead."),
    ] = None,
) -> None:
    """Show what is in a .nb file: version, place, ops, kernels, parameters, warnings."""
    from edge_kit.cli.inspect import run_compare, run_inspect

    if compare is not None:
        if onnx is not None:
            raise KitError("--onnx and --compare are two things", hint="run inspect once with each")
        run_compare(compare, file, as_json=as_json)
        return
    run_inspect(file, as_json=as_json, onnx=onnx)


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Folders of bundles.", metavar="BUNDLE…")],
    plot: Annotated[Path | None, typer.Option(help="Also draw the figures into this file (SVG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare bundles: size, operators, texts, characters, mask."""
    from edge_kit.cli.compare import run_compare

    run_compare(bundles, plot, as_json=as_json)


@app.command()
def emulate(
    model: Annotated[Path, typer.Argument(help="A Paddle Lite .nb file for ARM.")],
    source: Annotated[Path, typer.Option("--input", help="The input tensor: a .npy file, float32.")],
    target: Annotated[Path, typer.Option("--output", help="Where to write the output tensor (.npy).")],
    precision: Annotated[
        str, typer.Option(help="fast: ONNX Runtime, for fp32 and integer weights; exact: fp16 and int8 kernels, slow.")
    ] = "fast",
) -> None:
    """Run an ARM .nb file on this machine and write the output that the device would compute."""
    from edge_kit.cli.emulate import run_emulate

    run_emulate(model, source, target, precision)


@app.command()
def overflow(
    model: Annotated[Path, typer.Argument(help="A Paddle Lite .nb file with fp16 kernels.")],
    paths: Annotated[
        list[str], typer.Argument(help="Images or folders for a detector, .npy tensors for any model.", metavar="PATH…")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which fp16 convolutions overflow on given images, and by how much; ends with 1 if any does."""
    from edge_kit.cli.overflow import run_overflow

    raise typer.Exit(run_overflow(model, paths, as_json=as_json))


@app.command("legacy-report")
def legacy_report(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Images or folders (default: the regression set).", metavar="[IMAGE…]")
    ] = None,
    engine: Annotated[str, typer.Option(help="nb, server, lite_x86 or onnx.")] = "onnx",
    json_file: Annotated[
        str | None, typer.Option("--json", help="Write all figures to this file (- for standard output).")
    ] = None,
) -> None:
    """Replay common porting bugs of device demos and show the accuracy impact of each.

    One mistake keeps state between images, so the order of the images counts.
    """
    from edge_kit.cli.labs import run_legacy_report

    raise typer.Exit(run_legacy_report(tuple(paths or ()), engine, json_file))


@app.command()
def doctor(
    device: Annotated[
        str | None, typer.Option(help="Read a check picture on this device instead: gpu:0, npu, auto ….")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Engine of --device (default: server; nb for the CPU).")] = None,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what this machine has, what is missing, and how to get it; or whether a device reads what the CPU reads."""
    from edge_kit.cli.doctor import run_device_check, run_doctor

    if device is not None:
        raise typer.Exit(run_device_check(device, engine, models, as_json=as_json))

    raise typer.Exit(run_doctor(as_json=as_json))


@hpi_app.command("report")
def hpi_report(
    models: Models = None,
    det_model: DetModel = None,
    rec_model: RecModel = None,
    rec_dict: RecDict = None,
    spec: Spec = None,
    backend: Annotated[str | None, typer.Option(help="onnxruntime, openvino or paddle (default: all).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to use (default: all cores).")] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure even if the cache has the answer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    offline: Offline = False,
) -> None:
    """Show how fast each way to run a set of models is here, which read the same, and what --enable_hpi takes.

    What the cache does not have is measured, which takes about a minute.
    """
    from edge_kit.cli.hpi import run_report

    settings = _given(
        models=models,
        det_model=det_model,
        rec_model=rec_model,
        rec_dict=rec_dict,
        spec=spec,
        threads=threads,
        offline=offline or None,
        hpi_config={"backend": backend} if backend else None,
    )
    run_report(settings, again=again, as_json=as_json)


@models_app.command("list")
def models_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the known models."""
    from edge_kit.cli.models import run_list

    run_list(as_json=as_json)


@models_app.command("fetch")
def models_fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Names (default: those of the default build).")] = None,
    offline: Offline = False,
) -> None:
    """Fetch models into the cache."""
    from edge_kit.cli.models import run_fetch

    run_fetch(tuple(names or ()), offline=offline)


@models_app.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names (default: those of the default build).")] = None,
) -> None:
    """Check cached models against their checksums, and models given by path for whether the kit can build them."""
    from edge_kit.cli.models import run_verify_models

    raise typer.Exit(run_verify_models(tuple(names or ())))


@devices_app.command("list")
def devices_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the device profiles."""
    from edge_kit.cli.devices import run_list

    run_list(as_json=as_json)


@devices_app.command("show")
def devices_show(
    name: Annotated[str, typer.Argument(help="A name of 'devices list', or a profile file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a device profile with the reason of each value."""
    from edge_kit.cli.devices import run_show

    run_show(name, as_json=as_json)


@recipes_app.command("list")
def recipes_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the recipes: what each is, when to choose it, what it costs."""
    from edge_kit.cli.quantize import run_list

    run_list(as_json=as_json)


@config_app.command("export")
def config_export(
    save: Annotated[Path | None, typer.Option(help="File to write (default: standard output).")] = None,
    form: Annotated[str, typer.Option("--format", help="kit, or paddlex: the form that PaddleX 3 reads.")] = "kit",
    models: Models = None,
    force: Force = False,
) -> None:
    """Write a pipeline file with every setting at its default, to be changed and given to --pipeline."""
    from edge_kit.cli.config import run_config_export

    run_config_export(save, form, models, force=force)


@config_app.command("convert")
def config_convert(
    source: Annotated[Path, typer.Argument(help="A pipeline file of the kit or of any PaddleX.")],
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    form: Annotated[
        str | None, typer.Option("--format", help="kit, or paddlex: PaddleX 3's (default: the other one).")
    ] = None,
    force: Force = False,
) -> None:
    """Write a pipeline file in the other form; what has no place there is listed."""
    from edge_kit.cli.config import run_config_convert

    run_config_convert(source, target, form, force=force)


def main() -> None:
    """Run the command line; an error the user can act on ends with code 2 and no traceback."""
    # OpenCV's own notes on a bad file say less than the error that follows.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    _prepare_streams()
    warnings.showwarning = _show_warning
    try:
        app(prog_name="edge-kit")
    except KitError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except ImportError as error:
        _complain(KitError(f"a library does not load: {error}", hint=f"{LIBRARIES_HINT}; see 'edge-kit doctor'"))
        sys.exit(2)
    except OSError as error:
        what, place = error.strerror or str(error), error.filename2 or error.filename
        _complain(KitError(what, path=place, hint="check the path, its rights and the space on its disk"))
        sys.exit(2)


def _prepare_streams() -> None:
    """Make output UTF-8 in every locale, accept file names that are not UTF-8, and replace closed streams."""
    # Python has None for a stream that the caller closed (`>&-`).
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Write a warning of the kit as one line, and others as Python does."""
    if category.__module__.partition(".")[0] in ("edge_kit", "model_opt"):
        sys.stderr.write(f"edge-kit: {message}\n")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def _complain(error: KitError) -> None:
    sys.stderr.write(f"edge-kit: error: {error}\n")
