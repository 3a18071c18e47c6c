package org.edgekit.ocr

enum class Interpolation { LINEAR, CUBIC }

enum class ChannelOrder { BGR, RGB }

/** Which side of the image the detector limits: the longer one from above, or the shorter one from below. */
enum class LimitType { MAX, MIN }

/** The order of float32 operations between a pixel and the model: `(v / divisor - mean) / std`, or `v * alpha + beta`. */
enum class Normalise { SUBTRACT_DIVIDE, MULTIPLY_ADD }

/** How a rectangle's area and perimeter are summed: in float64 as GEOS does, or as OpenCV's contour functions do. */
enum class UnclipDistance { SHOELACE, CONTOUR }

/** How a coordinate of the map becomes one of the image: two float32 operations, or one float64 factor. */
enum class BoxScaling { FLOAT32_STEPS, FLOAT64_RATIO }

/** Whether a box is scored inside its rectangle or inside its contour. */
enum class ScoreMode { FAST, SLOW }

enum class BoxOrder { CLOCKWISE, MINI_BOX }

enum class BoxClip { LAST_PIXEL, IMAGE_SIZE }

/**
 * How far a box moves back past its neighbours of the same row: up to the first position, or with the box in the first
 * position left there, as in older PaddleOCR.
 */
enum class RowSort { FULL, KEEP_FIRST }

enum class CropShape { QUAD, MIN_AREA_RECT }

/** A line without area: its sides become one pixel, or it is as large as the image, in the colour of the first pixel. */
enum class CollapsedLine { ONE_PIXEL, FIRST_PIXEL }

/** How an image becomes the detector's input tensor. Units are pixels. */
data class DetectionRules(
    val limitSideLen: Int,
    val limitType: LimitType,
    val maxSideLimit: Int?,
    val sideMultiple: Int,
    val minSide: Int,
    val padBelowSum: Int,
    val padTo: Int,
    val padValue: Int,
    val interpolation: Interpolation,
    val channelOrder: ChannelOrder,
    val normalise: Normalise,
    val divisor: Double,
    val mean: List<Double>,
    val std: List<Double>,
) {
    /** The longest side that an input may have before it is rounded to a multiple; null without a bound. */
    val longestSide: Int?
        get() = listOfNotNull(limitSideLen.takeIf { limitType == LimitType.MAX }, maxSideLimit).minOrNull()

    /**
     * Returns the rules with [side] pixels as the bound of the longer side: [limitSideLen] itself where that is about
     * the longer side, up or down; else [maxSideLimit], down only.
     */
    fun limitedTo(side: Int): DetectionRules = when (limitType) {
        LimitType.MAX -> copy(limitSideLen = side)
        LimitType.MIN -> copy(maxSideLimit = minOf(side, maxSideLimit ?: side))
    }
}

/** How a probability map becomes boxes (differentiable binarisation). */
data class DbRules(
    val thresh: Double,
    val useDilation: Boolean,
    val maxCandidates: Int,
    val minShortSide: Double,
    val scoreMode: ScoreMode,
    val boxThresh: Double,
    val unclipRatio: Double,
    val unclipDistance: UnclipDistance,
    val offsetArcTolerance: Double,
    val minUnclippedShortSide: Double,
    val boxScaling: BoxScaling,
)

/** How boxes are ordered, clipped, filtered and sorted into reading order. */
data class BoxRules(
    val order: BoxOrder,
    val clip: BoxClip,
    val minSideExclusive: Int?,
    val rowTolerance: Int,
    val rowSort: RowSort,
)

/** How a text line is cut out of the image. */
data class CropRules(
    val shape: CropShape,
    val collapsedLine: CollapsedLine,
    val interpolation: Interpolation,
    val rotateRatio: Double,
)

/** The optional angle classifier. */
data class ClassifierRules(
    val enabled: Boolean,
    val height: Int,
    val width: Int,
    val divisor: Double,
    val mean: Double,
    val std: Double,
    val padValue: Double,
    val thresh: Double,
    val labels: List<Int>,
)

/** How a line becomes the recogniser's input tensor. */
data class RecognitionRules(
    val height: Int,
    val minWidth: Int,
    val maxWidth: Int,
    val interpolation: Interpolation,
    val channelOrder: ChannelOrder,
    val divisor: Double,
    val mean: Double,
    val std: Double,
    val padValue: Double,
)

/** How the recogniser's output becomes text. */
data class CtcRules(val blank: Int, val appendSpace: Boolean, val emptyScore: Double)

/** One named set of rules, complete. */
data class OcrProfile(
    val name: String,
    val description: String,
    val detection: DetectionRules,
    val db: DbRules,
    val boxes: BoxRules,
    val crop: CropRules,
    val classifier: ClassifierRules,
    val recognition: RecognitionRules,
    val ctc: CtcRules,
    val dropScore: Double,
    val alpha: Alpha = Alpha.DROP,
)

/** The specification that the build exported as `ocr_spec.json`: every rule between an image and its text. */
class OcrSpec internal constructor(private val defaultProfile: String, val profiles: List<OcrProfile>) {
    /** Returns the profile called [name], or the default one; throws [SpecException] that lists the known names. */
    fun profile(name: String? = null): OcrProfile {
        val wanted = name ?: defaultProfile
        return profiles.firstOrNull { it.name == wanted } ?: throw SpecException(
            "unknown specification profile '$wanted'",
            "use one of: ${profiles.joinToString(", ") { it.name }}",
        )
    }

    companion object {
        /** The version of the specification's format that this code was written for. */
        const val VERSION = 3

        /** Parses `ocr_spec.json`; throws [SpecException] that names the key when it is damaged or of another version. */
        fun parse(json: String): OcrSpec = SpecParser.parse(json)
    }
}
