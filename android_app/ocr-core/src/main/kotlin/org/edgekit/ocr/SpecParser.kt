package org.edgekit.ocr

/** Reads `ocr_spec.json` into an [OcrSpec]; each rule that has one known value is checked to have it. */
internal object SpecParser {
    private const val HINT = "build the bundle and the app with one version of edge-kit"
    private val interpolations = mapOf("linear" to Interpolation.LINEAR, "cubic" to Interpolation.CUBIC)

    /** Cubic resizing rounds differently on Intel's processors than on a phone's, so no profile may ask for it. */
    private val resizing = mapOf("linear" to Interpolation.LINEAR)
    private val channelOrders = mapOf("bgr" to ChannelOrder.BGR, "rgb" to ChannelOrder.RGB)
    private val normalises =
        mapOf("subtract_divide" to Normalise.SUBTRACT_DIVIDE, "multiply_add" to Normalise.MULTIPLY_ADD)
    private val distances = mapOf("shoelace" to UnclipDistance.SHOELACE, "contour" to UnclipDistance.CONTOUR)
    private val scalings =
        mapOf("float32_steps" to BoxScaling.FLOAT32_STEPS, "float64_ratio" to BoxScaling.FLOAT64_RATIO)
    private val collapsed =
        mapOf("one_pixel" to CollapsedLine.ONE_PIXEL, "first_pixel" to CollapsedLine.FIRST_PIXEL)
    private val alphas = mapOf("drop" to Alpha.DROP, "on_white" to Alpha.ON_WHITE)
    private const val LARGEST = 1 shl 20

    fun parse(text: String): OcrSpec {
        val json = JsonReader.parse(text) { SpecException("the specification is damaged: $it", HINT) }
        val version = json.int("spec_version")
        if (version != OcrSpec.VERSION) {
            throw SpecException("the specification has version $version, this app reads ${OcrSpec.VERSION}", HINT)
        }
        val profiles = json.child("profiles")
        val spec = OcrSpec(json.string("default_profile"), profiles.keys().map { profile(it, profiles.child(it)) })
        spec.profile()
        return spec
    }

    private fun profile(name: String, json: JsonReader) = OcrProfile(
        name = name,
        description = json.string("description"),
        detection = detection(json.child("detection")),
        db = db(json.child("db")),
        boxes = boxes(json.child("boxes")),
        crop = crop(json.child("crop")),
        classifier = classifier(json.child("classifier")),
        recognition = recognition(json.child("recognition")),
        ctc = ctc(json.child("ctc")),
        dropScore = json.child("result").number("drop_score"),
        alpha = json.childOrNull("image")?.choice("alpha", alphas) ?: Alpha.DROP,
    )

    private fun detection(json: JsonReader): DetectionRules {
        json.choice("side_rounding", mapOf("half_even" to Unit))
        return DetectionRules(
            limitSideLen = json.int("limit_side_len", 1, LARGEST),
            limitType = json.choice("limit_type", mapOf("max" to LimitType.MAX, "min" to LimitType.MIN)),
            maxSideLimit = json.intOrNull("max_side_limit", 1, LARGEST),
            sideMultiple = json.int("side_multiple", 1, LARGEST),
            minSide = json.int("min_side", 1, LARGEST),
            padBelowSum = json.int("pad_below_sum", 0, LARGEST),
            padTo = json.int("pad_to", 0, LARGEST),
            padValue = json.int("pad_value", 0, 255),
            interpolation = json.choice("interpolation", resizing),
            channelOrder = json.choice("channel_order", channelOrders),
            normalise = json.choice("normalise", normalises),
            divisor = json.positive("divisor"),
            mean = json.numbers("mean", 3).toList(),
            std = json.positives("std", 3).toList(),
        )
    }

    private fun db(json: JsonReader): DbRules {
        json.choice("offset_join", mapOf("round" to Unit))
        json.choice("box_rounding", mapOf("half_even" to Unit))
        return DbRules(
            thresh = json.number("thresh"),
            useDilation = json.boolean("use_dilation"),
            maxCandidates = json.int("max_candidates", 0, LARGEST),
            minShortSide = json.number("min_short_side"),
            scoreMode = json.choice("score_mode", mapOf("fast" to ScoreMode.FAST, "slow" to ScoreMode.SLOW)),
            boxThresh = json.number("box_thresh"),
            unclipRatio = json.positive("unclip_ratio"),
            unclipDistance = json.choice("unclip_distance", distances),
            offsetArcTolerance = json.positive("offset_arc_tolerance"),
            minUnclippedShortSide = json.number("min_unclipped_short_side"),
            boxScaling = json.choice("box_scaling", scalings),
        )
    }

    private fun boxes(json: JsonReader) = BoxRules(
        order = json.choice("order", mapOf("clockwise" to BoxOrder.CLOCKWISE, "mini_box" to BoxOrder.MINI_BOX)),
        clip = json.choice("clip", mapOf("last_pixel" to BoxClip.LAST_PIXEL, "image_size" to BoxClip.IMAGE_SIZE)),
        minSideExclusive = json.intOrNull("min_side_exclusive"),
        rowTolerance = json.int("row_tolerance"),
        rowSort = json.choice("row_sort", mapOf("full" to RowSort.FULL, "keep_first" to RowSort.KEEP_FIRST)),
    )

    private fun crop(json: JsonReader): CropRules {
        json.choice("border", mapOf("replicate" to Unit))
        val shapes = mapOf("quad" to CropShape.QUAD, "min_area_rect" to CropShape.MIN_AREA_RECT)
        return CropRules(
            shape = json.choice("shape", shapes),
            collapsedLine = json.choice("collapsed_line", collapsed),
            interpolation = json.choice("interpolation", interpolations),
            rotateRatio = json.positive("rotate_ratio"),
        )
    }

    private fun classifier(json: JsonReader) = ClassifierRules(
        enabled = json.boolean("enabled"),
        height = json.int("height", 1, LARGEST),
        width = json.int("width", 1, LARGEST),
        divisor = json.positive("divisor"),
        mean = json.number("mean"),
        std = json.positive("std"),
        padValue = json.number("pad_value"),
        thresh = json.number("thresh"),
        labels = json.ints("labels"),
    )

    private fun recognition(json: JsonReader) = RecognitionRules(
        height = json.int("height", 1, LARGEST),
        minWidth = json.int("min_width", 1, LARGEST),
        maxWidth = json.int("max_width", 1, LARGEST),
        interpolation = json.choice("interpolation", resizing),
        channelOrder = json.choice("channel_order", channelOrders),
        divisor = json.positive("divisor"),
        mean = json.number("mean"),
        std = json.positive("std"),
        padValue = json.number("pad_value"),
    )

    private fun ctc(json: JsonReader) = CtcRules(
        blank = json.int("blank", 0, 0),
        appendSpace = json.boolean("append_space"),
        emptyScore = json.number("empty_score"),
    )
}
