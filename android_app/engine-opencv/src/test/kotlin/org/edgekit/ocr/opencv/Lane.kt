package org.edgekit.ocr.opencv

import java.io.File
import java.io.FileInputStream
import java.io.InputStream
import java.lang.management.ManagementFactory
import java.security.MessageDigest
import org.edgekit.ocr.Conformance
import org.edgekit.ocr.OcrException
import org.edgekit.ocr.OcrResult
import org.edgekit.ocr.VectorSource
import org.json.JSONArray
import org.json.JSONObject
import org.opencv.imgcodecs.Imgcodecs

/**
 * What scripts/arm_lane.py runs on an emulated processor, and on the host to compare; each answer is a line of JSON.
 * `--` separates commands that run one after another: a start takes seconds of an emulated processor.
 *
 * `load MODEL...`: whether the engine takes each ONNX file.
 * `read SET NUMBER...`: what the pipeline reads on these images of an [ImageSet].
 * `first SET...`: what the pipeline reads on the first image of each [ImageSet].
 * `golden FOLDER`: how many golden vectors are equal, and what each of the others says.
 * `decode FILE...`: the SHA-256 of the pixels of each picture, decoded by OpenCV.
 * `time ROUNDS MODEL HEIGHT WIDTH`: processor seconds of each run on one thread, behind one that is not counted.
 */
fun main(arguments: Array<String>) {
    HostOpenCv.load()
    var rest = arguments.toList()
    while (rest.isNotEmpty()) {
        val command = rest.takeWhile { it != "--" }
        run(command[0], command.drop(1))
        rest = rest.drop(command.size + 1)
    }
    System.out.flush()
    // At once, as Android ends an app: nothing of the libraries is taken down.
    Runtime.getRuntime().halt(0)
}

private fun run(command: String, rest: List<String>) {
    when (command) {
        "load" -> for (model in rest) println(loaded(File(model)))
        "golden" -> println(golden(File(rest[0])))
        "decode" -> for (file in rest) println(decoded(File(file)))
        "read" -> read(ImageSet(File(rest[0])), rest.drop(1).map { it.toInt() })
        "first" -> for (folder in rest) read(ImageSet(File(folder)), listOf(0))
        "time" -> println(times(rest[0].toInt(), File(rest[1]), rest[2].toInt(), rest[3].toInt()))
        else -> throw IllegalArgumentException(command)
    }
}

private fun loaded(model: File): JSONObject {
    val answer = JSONObject().put("model", model.name)
    try {
        OpenCvEngine(model.readBytes(), model.name, 1).close()
        return answer.put("loaded", true)
    } catch (error: OcrException) {
        return answer.put("loaded", false).put("error", error.message)
    }
}

private fun golden(folder: File): JSONObject {
    val report = Conformance.run(object : VectorSource {
        override fun open(name: String): InputStream = FileInputStream(File(folder, name))
    })
    val failures = JSONArray(report.failures.map { "${it.name}: ${it.message}" })
    return JSONObject().put("cases", report.results.size).put("failures", failures)
}

private fun decoded(file: File): JSONObject {
    val image = Imgcodecs.imread(file.path)
    val bytes = ByteArray(image.total().toInt() * image.channels())
    image.get(0, 0, bytes)
    image.release()
    val sum = MessageDigest.getInstance("SHA-256").digest(bytes).joinToString("") { String.format("%02x", it) }
    return JSONObject().put("name", file.name).put("sha256", sum)
}

private fun read(set: ImageSet, numbers: List<Int>) {
    set.pipeline(threads = 1).use { pipeline ->
        for (number in numbers) {
            val image = set.image(number)
            val begin = processorSeconds()
            val result = pipeline.read(image)
            val seconds = processorSeconds() - begin
            image.release()
            println(answer(result).put("number", number).put("name", set.images[number].name).put("seconds", seconds))
        }
    }
}

private fun answer(result: OcrResult): JSONObject = JSONObject()
    .put("dt_polys", JSONArray(result.lines.map { JSONArray(it.polygon.toList().chunked(2)) }))
    .put("rec_texts", JSONArray(result.lines.map { it.text }))
    .put("dt_scores", JSONArray(result.lines.map { it.boxScore }))
    .put("rec_scores", JSONArray(result.lines.map { it.score }))

private fun times(rounds: Int, model: File, height: Int, width: Int): JSONObject {
    val input = FloatArray(3 * height * width) { (it * 37 % 255) / 127.5f - 1f }
    val seconds = JSONArray()
    OpenCvEngine(model.readBytes(), model.name, 1).use { engine ->
        for (round in 0..rounds) {
            val begin = processorSeconds()
            engine.run(input, intArrayOf(1, 3, height, width))
            if (round > 0) seconds.put(processorSeconds() - begin)
        }
    }
    return JSONObject().put("model", model.name).put("seconds", seconds)
}

/** Returns the seconds that all processors have spent on this process. */
private fun processorSeconds(): Double {
    val system = ManagementFactory.getOperatingSystemMXBean() as com.sun.management.OperatingSystemMXBean
    return system.processCpuTime / 1e9
}
