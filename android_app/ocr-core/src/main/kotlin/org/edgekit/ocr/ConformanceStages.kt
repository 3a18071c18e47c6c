package org.edgekit.ocr

import org.json.JSONObject
import org.opencv.core.CvType
import org.opencv.core.Mat

/** What each stage of a golden vector computes: the counterpart of `STAGES` in edge_kit.android.conformance. */
internal class ConformanceStages(private val rules: OcrProfile) {
    /** Runs [stage] on named arrays; throws [BundleException] for a stage that is not known. */
    fun run(stage: String, params: JSONObject, arrays: Map<String, VectorArray>): Map<String, VectorArray> =
        matScope { scope ->
            val given = Given(scope, params, arrays)
            when (stage) {
                "resize" -> resize(given)
                "normalise" -> normalise(given)
                "det_input" -> tensor(detectionInput(given.image(), rules.detection))
                "bitmap" -> bitmap(given)
                "rectangle" -> rectangle(given)
                "offset" -> offset(given)
                "boxes" -> quads(DbPost(rules.db).boxes(given.probMap(), given.width, given.height))
                "order" -> order(given)
                "crop" -> crop(given)
                "rec_input" -> recInput(given)
                "ctc" -> ctc(given)
                else -> throw BundleException("the golden vectors have a stage '$stage' that this app does not know")
            }
        }

    private class Given(val scope: MatScope, val params: JSONObject, private val arrays: Map<String, VectorArray>) {
        val width: Int get() = params.getInt("width")
        val height: Int get() = params.getInt("height")

        fun array(name: String): VectorArray =
            arrays[name] ?: throw BundleException("a golden vector lacks the array '$name'")

        fun image(): Mat = array("image").let { mat(it.bytes(), it.shape[0], it.shape[1]) }

        fun probMap(): ProbMap = array("prob_map").let { ProbMap(it.floats(), it.shape[1], it.shape[0]) }

        fun quads(name: String): List<FloatArray> = array(name).floats().toList().chunked(8) { it.toFloatArray() }

        fun mat(pixels: ByteArray, height: Int, width: Int): Mat {
            val mat = scope.own(Mat(height, width, CvType.CV_8UC3))
            mat.put(0, 0, pixels)
            return mat
        }
    }

    private fun resize(given: Given): Map<String, VectorArray> {
        val how = rules.detection.interpolation
        return mapOf("image" to image(resize(given.scope, given.image(), given.width, given.height, how)))
    }

    private fun normalise(given: Given): Map<String, VectorArray> {
        val image = given.image()
        val normaliser = if (given.params.getString("section") == "detection") {
            Normaliser.of(rules.detection)
        } else {
            rules.recognition.let { Normaliser.uniform(it.divisor, it.mean, it.std, it.channelOrder) }
        }
        val planes = FloatArray(3 * image.rows() * image.cols())
        normaliser.write(image, planes, image.cols())
        return mapOf("tensor" to VectorArray.of(planes, 3, image.rows(), image.cols()))
    }

    private fun bitmap(given: Given): Map<String, VectorArray> {
        val mask = textMask(given.scope, given.probMap(), rules.db)
        return mapOf("mask" to VectorArray.of(pixels(mask), mask.rows(), mask.cols()))
    }

    private fun rectangle(given: Given): Map<String, VectorArray> {
        val points = given.array("points").ints()
        var next = 0
        val found = given.array("counts").ints().map { count ->
            val part = points.copyOfRange(next, next + 2 * count)
            next += 2 * count
            minAreaQuad(part)
        }
        return mapOf(
            "quads" to corners(found.map { it.corners }),
            "short_sides" to VectorArray.of(FloatArray(found.size) { found[it].shortSide }, found.size),
        )
    }

    private fun offset(given: Given): Map<String, VectorArray> {
        val grown = given.quads("quads").map { unclip(it, rules.db) ?: IntArray(0) }
        val points = joined(grown)
        val counts = IntArray(grown.size) { grown[it].size / 2 }
        return mapOf(
            "points" to VectorArray.of(points, points.size / 2, 2),
            "counts" to VectorArray.of(counts, counts.size),
        )
    }

    private fun order(given: Given): Map<String, VectorArray> {
        val scores = given.array("scores").doubles()
        val boxes = given.quads("boxes").mapIndexed { i, corners -> ScoredQuad(corners, scores[i]) }
        return quads(BoxTidier(rules.boxes).tidy(boxes, given.width, given.height))
    }

    private fun crop(given: Given): Map<String, VectorArray> {
        val image = given.image()
        val lines = given.quads("quads").map { cropLine(given.scope, image, it, rules.crop) }
        val sizes = IntArray(2 * lines.size) { i -> if (i % 2 == 0) lines[i / 2].rows() else lines[i / 2].cols() }
        val bytes = ByteArray(lines.sumOf { it.rows() * it.cols() * 3 })
        var to = 0
        for (line in lines) {
            val part = pixels(line)
            part.copyInto(bytes, to)
            to += part.size
        }
        return mapOf("pixels" to VectorArray.of(bytes, bytes.size), "sizes" to VectorArray.of(sizes, lines.size, 2))
    }

    private fun recInput(given: Given): Map<String, VectorArray> {
        val sizes = given.array("sizes").ints()
        val bytes = given.array("pixels").bytes()
        var next = 0
        val tensors = (0 until sizes.size / 2).map { i ->
            val size = 3 * sizes[2 * i] * sizes[2 * i + 1]
            val line = given.mat(bytes.copyOfRange(next, next + size), sizes[2 * i], sizes[2 * i + 1])
            next += size
            recognitionInput(line, rules.recognition)
        }
        val values = FloatArray(tensors.sumOf { it.data.size })
        var to = 0
        for (tensor in tensors) {
            tensor.data.copyInto(values, to)
            to += tensor.data.size
        }
        val widths = IntArray(tensors.size) { tensors[it].shape[3] }
        return mapOf("values" to VectorArray.of(values, values.size), "widths" to VectorArray.of(widths, widths.size))
    }

    private fun ctc(given: Given): Map<String, VectorArray> {
        val characters = String(given.array("characters").bytes(), Charsets.UTF_8).split("\n")
        val output = given.array("probabilities").let { Tensor(it.floats(), it.shape) }
        val read = ctcDecode(output, characters, rules.ctc)
        val text = read.text.toByteArray(Charsets.UTF_8)
        return mapOf(
            "text" to VectorArray.of(text, text.size),
            "score" to VectorArray.of(doubleArrayOf(read.score), 1),
        )
    }

    private fun tensor(tensor: Tensor) = mapOf("tensor" to VectorArray.of(tensor.data, *tensor.shape))

    private fun image(mat: Mat) = VectorArray.of(pixels(mat), mat.rows(), mat.cols(), mat.channels())

    private fun quads(boxes: List<ScoredQuad>) = mapOf(
        "boxes" to corners(boxes.map { it.corners }),
        "scores" to VectorArray.of(DoubleArray(boxes.size) { boxes[it].score }, boxes.size),
    )

    private fun corners(quads: List<FloatArray>): VectorArray {
        val values = FloatArray(8 * quads.size) { quads[it / 8][it % 8] }
        return VectorArray.of(values, quads.size, 4, 2)
    }

    private fun joined(parts: List<IntArray>): IntArray {
        val all = IntArray(parts.sumOf { it.size })
        var to = 0
        for (part in parts) {
            part.copyInto(all, to)
            to += part.size
        }
        return all
    }
}
