"""Pipeline files as PaddleX's versions and PaddleOCR write them, for tests."""

EARLY = """\
Pipeline:
  det_model: PP-OCRv4_mobile_det
  det_device: "gpu:0"
  rec_model: PP-OCRv4_server_rec
  rec_batch_size: 1
  rec_device: cpu
"""

BETA1 = """\
Global:
  pipeline_name: OCR
  input: https://example.org/general_ocr_002.png
Pipeline:
  text_det_model: PP-OCRv4_mobile_det
  text_rec_model: PP-OCRv4_mobile_rec
  text_rec_batch_size: 1
  device: "gpu:0"
  use_hpip: true
  hpi_params: {serial_number: none}
"""

PADDLEX3 = """\
pipeline_name: OCR
text_type: general
use_doc_preprocessor: True
use_textline_orientation: True
SubPipelines:
  DocPreprocessor:
    pipeline_name: doc_preprocessor
    use_doc_orientation_classify: True
    use_doc_unwarping: True
    SubModules:
      DocOrientationClassify:
        module_name: doc_text_orientation
        model_name: PP-LCNet_x1_0_doc_ori
        model_dir: null
      DocUnwarping:
        module_name: image_unwarping
        model_name: UVDoc
        model_dir: null
SubModules:
  TextDetection:
    module_name: text_detection
    model_name: PP-OCRv6_medium_det
    model_dir: null
    limit_side_len: 64
    limit_type: min
    max_side_limit: 4000
    thresh: 0.3
    box_thresh: 0.6
    unclip_ratio: 1.5
  TextLineOrientation:
    module_name: textline_orientation
    model_name: PP-LCNet_x1_0_textline_ori
    model_dir: null
    batch_size: 6
  TextRecognition:
    module_name: text_recognition
    model_name: PP-OCRv6_medium_rec
    model_dir: null
    batch_size: 6
    score_thresh: 0.0
"""

EXPORTED = """\
SubModules:
  TextDetection:
    box_thresh: 0.5
    limit_side_len: 960
    limit_type: max
    max_side_limit: 4000
    model_dir: null
    model_name: PP-OCRv5_mobile_det
    module_name: text_detection
    thresh: 0.2
    unclip_ratio: 1.8
  TextLineOrientation:
    batch_size: 6
    model_dir: null
    model_name: PP-LCNet_x1_0_textline_ori
    module_name: textline_orientation
  TextRecognition:
    batch_size: 1
    model_dir: null
    model_name: PP-OCRv5_mobile_rec
    module_name: text_recognition
    score_thresh: 0.25
SubPipelines:
  DocPreprocessor:
    SubModules:
      DocOrientationClassify:
        model_dir: null
        model_name: PP-LCNet_x1_0_doc_ori
        module_name: doc_text_orientation
      DocUnwarping:
        model_dir: null
        model_name: UVDoc
        module_name: image_unwarping
    pipeline_name: doc_preprocessor
    use_doc_orientation_classify: false
    use_doc_unwarping: false
engine: onnxruntime
engine_config:
  cpu_threads: 4
  enable_cinn: false
pipeline_name: OCR
text_type: general
use_doc_preprocessor: false
use_textline_orientation: false
"""
"""``PaddleOCR(…).export_paddlex_config_to_yaml``: keys in the order of the alphabet."""
