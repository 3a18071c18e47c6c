"""Pipeline files of PaddleX's versions become settings; what has no effect is listed, what is wrong is named."""

import pytest
import yaml

from edge_kit.api import choose_settings
from edge_kit.pipeline_files import PipelineFileError, kind_of, read_document, read_pipeline_file
from edge_kit.pipeline_files.names import KEYS
from edge_kit.settings import PipelineSettings, load_settings, read_settings, refuse_unsupported
from model_opt.errors import KitError
from tests.edge_kit.pipeline_files.samples import BETA1, EARLY, EXPORTED, PADDLEX3


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        path = tmp_path / "any name.txt"
        path.write_text(text)
        return path

    return write_file


def ignored_keys(file):
    return [one.key for one in file.ignored]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("engine: onnx\n", "kit"),
        (EARLY, "paddlex-early"),
        (BETA1, "paddlex-3.0b1"),
        (PADDLEX3, "paddlex-3"),
        (EXPORTED, "paddlex-3"),
    ],
)
def test_a_file_is_known_by_its_content(write, text, kind):
    assert kind_of(read_document(write(text))) == kind
    assert read_pipeline_file(write(text)).kind == kind


def test_the_first_form_names_models_and_devices(write):
    settings = load_settings(write(EARLY))
    assert settings == PipelineSettings(
        det_model="PP-OCRv4_mobile_det",
        rec_model="PP-OCRv4_server_rec",
        det_device="gpu:0",
        rec_device="cpu",
        rec_batch_size=1,
        spec="paddlex-3.0b1",
        result_schema="seed",
    )


def test_a_device_that_is_given_holds_for_both_models_whatever_the_file_says(write):
    settings = load_settings(write(EARLY), device="cpu")
    assert (settings.device, settings.det_device, settings.rec_device) == ("cpu", None, None)


def test_later_files_of_the_first_form_have_one_device_and_one_batch_size(write):
    models = "  det_model: PP-OCRv4_mobile_det\n  rec_model: PP-OCRv4_mobile_rec\n"
    text = f"Pipeline:\n{models}  batch_size: {{}}\n  device: cpu\n"
    assert read_pipeline_file(write(text.format(1))).ignored == ()
    (ignored,) = read_pipeline_file(write(text.format(8))).ignored
    assert str(ignored) == "line 4: Pipeline.batch_size (images are read one after the other)"


def test_beta1s_form_names_them_otherwise(write):
    file = read_pipeline_file(write(BETA1))
    assert file.settings == {
        "spec": "paddlex-3.0b1",
        "result_schema": "beta1",
        "det_model": "PP-OCRv4_mobile_det",
        "rec_model": "PP-OCRv4_mobile_rec",
        "rec_batch_size": 1,
        "device": "gpu:0",
        "enable_hpi": True,
    }
    assert ignored_keys(file) == ["Global.input", "Pipeline.hpi_params"]


def test_paddlex_3s_own_file_becomes_settings_of_the_same_names(write):
    file = read_pipeline_file(write(PADDLEX3))
    assert file.settings == {
        "spec": "paddlex-3",
        "result_schema": "paddlex-3",
        "use_doc_orientation_classify": True,
        "doc_orientation_model": "PP-LCNet_x1_0_doc_ori",
        "use_doc_unwarping": True,
        "use_textline_orientation": True,
        "textline_orientation_model": "PP-LCNet_x1_0_textline_ori",
        "det_model": "PP-OCRv6_medium_det",
        "text_det_limit_side_len": 64,
        "text_det_limit_type": "min",
        "text_det_max_side_limit": 4000,
        "text_det_thresh": 0.3,
        "text_det_box_thresh": 0.6,
        "text_det_unclip_ratio": 1.5,
        "rec_model": "PP-OCRv6_medium_rec",
        "rec_batch_size": 6,
        "text_rec_score_thresh": 0.0,
    }
    assert ignored_keys(file) == ["SubPipelines.DocPreprocessor.SubModules.DocUnwarping"]


def test_what_paddleocr_exports_is_read_like_what_paddlex_ships(write):
    file = read_pipeline_file(write(EXPORTED))
    settings = load_settings(write(EXPORTED))
    assert (settings.det_model, settings.rec_model) == ("PP-OCRv5_mobile_det", "PP-OCRv5_mobile_rec")
    assert (settings.engine, settings.threads, settings.rec_batch_size) == ("onnx", 4, 1)
    limits = (settings.text_det_limit_side_len, settings.text_det_limit_type, settings.text_det_max_side_limit)
    assert limits == (960, "max", 4000)
    thresholds = (settings.text_det_thresh, settings.text_det_box_thresh, settings.text_det_unclip_ratio)
    assert thresholds == (0.2, 0.5, 1.8)
    assert settings.text_rec_score_thresh == 0.25
    assert not settings.use_textline_orientation
    assert not settings.use_doc_orientation_classify
    assert ignored_keys(file) == [
        "SubModules.TextLineOrientation",
        "SubPipelines.DocPreprocessor",
        "engine_config.enable_cinn",
    ]


def test_keys_that_a_file_lacks_get_paddlexs_values(write):
    text = """\
use_doc_preprocessor: false
use_textline_orientation: false
SubModules:
  TextDetection: {model_name: PP-OCRv5_mobile_det}
  TextRecognition: {model_name: PP-OCRv5_mobile_rec}
"""
    settings = load_settings(write(text))
    limits = (settings.text_det_limit_side_len, settings.text_det_limit_type, settings.text_det_max_side_limit)
    assert limits == (960, "max", 4000)
    thresholds = (settings.text_det_thresh, settings.text_det_box_thresh, settings.text_det_unclip_ratio)
    assert thresholds == (0.3, 0.6, 2.0)
    assert (settings.rec_batch_size, settings.text_rec_score_thresh) == (1, 0.0)


def test_what_is_on_and_cannot_be_had_is_an_error_that_names_the_line(write):
    read = read_settings(read_document(write(PADDLEX3)))
    with pytest.raises(KitError, match=r"use_doc_unwarping is True(.|\n)*False in line 9") as caught:
        refuse_unsupported(read)
    assert "use_doc_unwarping=False to create_pipeline" in str(caught.value)


def test_a_folder_of_a_model_is_found_beside_the_file_and_keeps_its_name_out(write, tmp_path):
    (tmp_path / "mine").mkdir()
    settings = load_settings(
        write(
            EXPORTED.replace(
                "model_dir: null\n    model_name: PP-OCRv5_mobile_rec", "model_dir: mine\n    model_name: x"
            )
        )
    )
    assert settings.rec_model == str(tmp_path / "mine")


def test_a_model_that_only_paddlex_knows_is_taken_from_its_folder(write, tmp_path, monkeypatch):
    text = EXPORTED.replace("PP-OCRv5_mobile_rec", "en_PP-OCRv5_mobile_rec")
    monkeypatch.setenv("PADDLE_PDX_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        KitError, match=r"line 20: SubModules\.TextRecognition\.model_name: the kit does not know model"
    ):
        refuse_unsupported(read_settings(read_document(write(text))))
    folder = tmp_path / "official_models" / "en_PP-OCRv5_mobile_rec"
    folder.mkdir(parents=True)
    assert load_settings(write(text)).rec_model == str(folder)


def test_a_zero_is_taken_as_not_given_as_paddlex_does(write):
    file = read_pipeline_file(write(EXPORTED.replace("thresh: 0.2", "thresh: 0")))
    assert "text_det_thresh" not in file.settings
    assert "SubModules.TextDetection.thresh" in ignored_keys(file)
    with pytest.raises(PipelineFileError, match=r"thresh is 0, which makes PaddleX take the value in the model's"):
        read_pipeline_file(write(PADDLEX3.replace(" thresh: 0.3", " thresh: 0")))


def test_settings_of_one_model_alone_are_listed(write):
    text = PADDLEX3.replace(
        "    batch_size: 6\n    score_thresh", "    batch_size: 6\n    use_hpip: true\n    score_thresh"
    )
    assert "SubModules.TextRecognition.use_hpip" in ignored_keys(read_pipeline_file(write(text)))


def changed(text, *path, to):
    document = yaml.safe_load(text)
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to
    return yaml.safe_dump(document, sort_keys=False)


def without(text, *path):
    document = yaml.safe_load(text)
    part = document
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return yaml.safe_dump(document, sort_keys=False)


DET, REC = ("SubModules", "TextDetection"), ("SubModules", "TextRecognition")
DAMAGED_3 = [
    (changed(PADDLEX3, "pipeline_name", to="table_recognition"), "the pipeline OCR only"),
    (changed(PADDLEX3, "pipeline_name", to=3), "must be text"),
    (changed(PADDLEX3, "text_type", to="seal"), "'general' only"),
    (changed(PADDLEX3, "SubModules", to=[]), "SubModules must be a mapping"),
    (changed(PADDLEX3, "SubPipelines", to={}), "DocPreprocessor is missing"),
    (changed(PADDLEX3, "use_textline_orientation", to="yes"), "must be True or False"),
    (changed(PADDLEX3, *DET, "limit_side_len", to="64"), "limit_side_len must be a whole number"),
    (changed(PADDLEX3, *DET, "limit_type", to="longest"), "TextDetection.limit_type"),
    (changed(PADDLEX3, *DET, "thresh", to=1.5), "from 0 to 1"),
    (changed(PADDLEX3, *DET, "unclip_ratio", to=True), "unclip_ratio must be a number"),
    (changed(PADDLEX3, *DET, "module_name", to="text_recognition"), "'text_detection' belongs here"),
    (changed(PADDLEX3, *DET, "input_shape", to=[3, 736, 736]), "fixes the size"),
    (changed(PADDLEX3, *REC, "batch_size", to=0), "TextRecognition.batch_size"),
    (changed(PADDLEX3, *REC, "score_thresh", to=None) + "engine: transformers\n", "no such engine"),
    (changed(PADDLEX3, "engine_config", to={"run_mode": "trt_fp16"}), "another precision"),
    (without(PADDLEX3, *DET), "model_name is missing"),
    (without(PADDLEX3, *REC, "model_name"), "model_name is missing"),
    (PADDLEX3 + "pipeline_name: OCR\n", "stands in line 1 and again in line 41"),
    (PADDLEX3[:-30] + "]: {", "not a YAML file"),
]
DAMAGED_EARLY = [
    (EARLY.replace("PP-OCRv4_mobile_det", "[a, b]"), "det_model must be text"),
    (EARLY.replace("PP-OCRv4_mobile_det", "null"), "det_model is missing"),
    (EARLY.replace("  det_model: PP-OCRv4_mobile_det\n", ""), "det_model is missing"),
    (EARLY.replace("rec_batch_size: 1", "rec_batch_size: one"), "must be a whole number"),
    (EARLY.replace("rec_batch_size: 1", "rec_batch_size: -1"), "from 1 to 1024"),
    (EARLY.replace("rec_batch_size: 1", "rec_batch_size: true"), "must be a whole number"),
    (EARLY.replace('"gpu:0"', "0"), "det_device must be text"),
    (EARLY.replace("  rec_device: cpu", "  text_rec_model: x"), "of no form that PaddleX had"),
    (EARLY + "SubModules: {}\n", "of no form that PaddleX had"),
    (EARLY + "  det_model: y\n", "again in line 7"),
    ("Pipeline:\n", "of no form that PaddleX had"),
    ("Global: {pipeline_name: instance_segmentation}\n" + EARLY, "the pipeline OCR only"),
]
DAMAGED_BETA1 = [
    (BETA1.replace("OCR\n", "layout\n"), "the pipeline OCR only"),
    (BETA1.replace("PP-OCRv4_mobile_det", "3"), "text_det_model must be text"),
    (BETA1.replace("  text_det_model: PP-OCRv4_mobile_det\n", ""), "text_det_model is missing"),
    (BETA1.replace("text_det_model", "det_model"), "of no form that PaddleX had"),
    (BETA1.replace("text_rec_batch_size: 1", "text_rec_batch_size: 1.5"), "must be a whole number"),
    (BETA1.replace("text_rec_batch_size: 1", "text_rec_batch_size: 10000"), "from 1 to 1024"),
    (BETA1.replace("use_hpip: true", "use_hpip: 1"), "must be True or False"),
    (BETA1 + "  pp_option: fast\n", "pp_option must be a mapping"),
    (BETA1 + "  pp_option: {run_mode: trt_int8}\n", "another precision"),
    (BETA1.replace("Global:\n", "Global: 3\nOther:\n"), "Global must be a mapping"),
    (BETA1.replace("  device", " device"), "not a YAML file"),
]


DAMAGED = DAMAGED_3 + DAMAGED_EARLY + DAMAGED_BETA1


@pytest.mark.parametrize(("text", "words"), DAMAGED, ids=[words for _, words in DAMAGED])
def test_a_damaged_file_is_an_error_that_says_what_is_wrong(write, text, words):
    path = write(text)
    with pytest.raises(KitError, match=words) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 1\n", "words", "3", "null"])
def test_a_file_without_keys_is_refused(write, text):
    with pytest.raises(PipelineFileError, match="'key: value' lines"):
        read_pipeline_file(write(text))


def test_a_file_that_is_no_text_or_far_too_long_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PipelineFileError, match="not a YAML file"):
        read_pipeline_file(path)
    path.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(PipelineFileError, match="at most"):
        read_pipeline_file(path)
    with pytest.raises(PipelineFileError, match="cannot read the file"):
        read_pipeline_file(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (changed(PADDLEX3, *DET, "limit_side_len", to="64"), "not '64'", "write 64, without quotes"),
        (changed(PADDLEX3, *DET, "limit_side_len", to=64.0), r"not 64\.0", "write 64"),
        (changed(PADDLEX3, *DET, "thresh", to="3e-1"), "not '3e-1'", "write 0.3, without quotes"),
        (changed(PADDLEX3, "use_textline_orientation", to="False"), "not 'False'", "write False, without quotes"),
        (changed(PADDLEX3, "use_textline_orientation", to=0), "not 0", "write False"),
        (changed(PADDLEX3, *DET, "thresh", to="0,3"), "not '0,3'", None),
        (changed(PADDLEX3, *DET, "thresh", to="nan"), "not 'nan'", None),
    ],
)
def test_a_value_in_quotes_or_of_another_type_is_told_apart_from_nonsense(write, text, what, hint):
    with pytest.raises(PipelineFileError, match=what) as caught:
        read_pipeline_file(write(text))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("key", "to"),
    [
        ((*DET, "limit_side_len"), -1),
        ((*DET, "limit_type"), "longest"),
        ((*DET, "unclip_ratio"), float("inf")),
        ((*REC, "batch_size"), 0),
    ],
)
def test_a_value_out_of_bounds_is_named_by_the_files_own_key_and_line(write, key, to):
    path = write(changed(PADDLEX3, *key, to=to))
    with pytest.raises(KitError, match="must be") as caught:
        load_settings(path)
    name = ".".join(key)
    assert f"{name!r} in line {read_document(path).lines[name]} " in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        changed(PADDLEX3, *DET, "model_dir", to=""),
        changed(PADDLEX3, *DET, "model_name", to=" "),
        EARLY.replace("PP-OCRv4_mobile_det", '""'),
        "det_model: ''\n",
        "bundle: ''\n",
    ],
)
def test_an_empty_text_is_no_way_to_leave_a_key_out(write, text):
    with pytest.raises(KitError, match="is empty"):
        load_settings(write(text))


def test_a_key_without_a_value_keeps_its_default(write):
    assert load_settings(write("engine:\ndevice: null\nthreads: ~\nspec: paddlex-3\n")) == PipelineSettings(
        spec="paddlex-3"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (EARLY.replace("Pipeline:", "pipeline:"), "Pipeline"),
        ("sub_modules: {}\n", "SubModules"),
        ("modells: pp-ocrv6-tiny\n", "models"),
        ("text-det-thresh: 0.2\n", "text_det_thresh"),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(write, text, meant):
    with pytest.raises(KitError, match=r"unknown setting .* in line") as caught:
        load_settings(write(text))
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("text", "wrong", "meant"),
    [
        (PADDLEX3.replace("\nSubModules:", "\nSubModuls:"), "line 19: SubModuls", "SubModules"),
        (PADDLEX3.replace("TextDetection:", "TextDetecton:"), "line 20: SubModules.TextDetecton", "TextDetection"),
        (PADDLEX3.replace("\nSubPipelines:", "\nsub_pipeline:"), "line 5: sub_pipeline", "SubPipelines"),
        (
            without(PADDLEX3, "SubPipelines").replace("use_doc_preprocessor: true", "use_doc_preproces: false"),
            "line 3: use_doc_preproces",
            "use_doc_preprocessor",
        ),
        (EARLY.replace("  det_model", "  det_modell"), "line 2: Pipeline.det_modell", "det_model"),
        (EARLY.replace("_model:", "_modl:"), "line 2: Pipeline.det_modl", "det_model"),
        (BETA1.replace("text_det_model", "text_det_modle"), "line 5: Pipeline.text_det_modle", "text_det_model"),
    ],
    ids=lambda value: value if "\n" not in value else "",
)
def test_where_a_key_is_missing_a_misspelt_one_is_named_first(write, text, wrong, meant):
    with pytest.raises(PipelineFileError) as caught:
        read_pipeline_file(write(text))
    assert caught.value.what.startswith(f"{wrong} is not a key that the kit knows; so ")
    assert caught.value.hint == f"did you mean {meant}?"


def test_a_misspelt_key_that_has_no_effect_is_listed_with_the_one_that_was_meant(write):
    file = read_pipeline_file(write(PADDLEX3.replace("box_thresh:", "box_tresh:") + "Serv: {}\n"))
    assert [(one.key, one.why) for one in file.ignored if "not a key" in one.why] == [
        ("SubModules.TextDetection.box_tresh", "not a key that the kit knows; did you mean box_thresh?"),
        ("Serv", "not a key that the kit knows"),
    ]


def test_every_key_of_paddlexs_files_is_a_known_one():
    def keys(values):
        for key, value in values.items():
            yield key
            if isinstance(value, dict) and key not in ("hpi_params", "engine_config"):
                yield from keys(value)

    assert {key for text in (EARLY, BETA1, PADDLEX3, EXPORTED) for key in keys(yaml.safe_load(text))} <= KEYS


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (changed(PADDLEX3, *DET, "model_dir", to="https://example.com/x.tar"), "SubModules.TextDetection.model_dir"),
        (EARLY.replace("PP-OCRv4_mobile_det", "https://example.com/x.tar"), "Pipeline.det_model"),
    ],
)
def test_an_address_in_place_of_a_model_is_named_with_what_to_do(write, text, key):
    with pytest.raises(PipelineFileError, match=f"{key} is an address, and models are not read from") as caught:
        read_pipeline_file(write(text))
    assert "download it and give the path" in str(caught.value.hint)


def test_a_key_that_is_no_text_is_listed_too(write):
    assert "5" in ignored_keys(read_pipeline_file(write(PADDLEX3 + "5: a\n")))


def test_the_first_forms_model_may_be_a_folder_beside_the_file(write, tmp_path, monkeypatch):
    text = EARLY.replace("PP-OCRv4_mobile_det", "\u4e2d\u6587 det")
    path = write(text)
    with pytest.raises(KitError, match="does not know model") as caught:
        refuse_unsupported(read_settings(read_document(path)))
    assert "./\u4e2d\u6587 det" in str(caught.value.hint)
    (tmp_path / "\u4e2d\u6587 det").mkdir()
    assert load_settings(path).det_model == str(tmp_path / "\u4e2d\u6587 det")


def test_a_path_in_the_users_home_is_found(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "det").mkdir()
    assert load_settings(write("det_model: ~/det\n")).det_model == str(tmp_path / "det")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "gbk"])
def test_a_file_in_another_encoding_says_so(tmp_path, encoding):
    path = tmp_path / "x.yaml"
    path.write_bytes(("# \u4e2d\u6587\n" + PADDLEX3).encode(encoding))
    with pytest.raises(PipelineFileError, match="not UTF-8") as caught:
        read_pipeline_file(path)
    assert "encoding UTF-8" in str(caught.value.hint)


def test_a_tab_is_an_error_with_its_line(write):
    with pytest.raises(PipelineFileError, match="line 2, column 1: ") as caught:
        read_pipeline_file(write("Pipeline:\n\tdet_model: x\n"))
    assert "not with tabs" in str(caught.value.hint)
    assert "unicode string" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [EARLY, BETA1, PADDLEX3, EXPORTED, "det_model: ./x\nrec_model: unknown\nrec_dict: a.txt\nbundle: build\n"]
)
def test_a_given_set_takes_the_place_of_the_files_models(write, text):
    document = read_document(write(text))
    own, read = read_settings(document), read_settings(document, models="pp-ocrv6-tiny")
    assert (read.settings.chosen.det, read.settings.chosen.rec) == ("PP-OCRv6_tiny_det", "PP-OCRv6_tiny_rec")
    assert (read.settings.rec_dict, read.settings.bundle) == (None, None)
    assert (read.settings.spec, read.settings.text_det_thresh) == (own.settings.spec, own.settings.text_det_thresh)
    assert not {"det_model", "rec_model"} & set(read.places)
    mixed = read_settings(document, models="pp-ocrv6-tiny", rec_model="./mine", rec_dict="b.txt").settings
    assert (mixed.chosen.det, mixed.chosen.rec, mixed.rec_dict) == ("PP-OCRv6_tiny_det", "./mine", "b.txt")


def test_the_files_dictionary_is_not_that_of_a_published_recogniser(write):
    document = read_document(write("rec_model: ./x\nrec_dict: a.txt\n"))
    assert read_settings(document, rec_model="PP-OCRv5_mobile_rec").settings.rec_dict is None
    assert read_settings(document, rec_model="./newer").settings.rec_dict == "a.txt"


def test_a_set_beside_a_bundle_is_refused(tmp_path):
    with pytest.raises(KitError, match="a bundle has its own models, and models pp-ocrv6-tiny chooses others"):
        choose_settings("ocr", {"bundle": str(tmp_path), "models": "pp-ocrv6-tiny"})
