package org.edgekit.ocr.opencv

import java.io.File
import kotlin.test.Test
import org.edgekit.ocr.OcrPipeline
import org.json.JSONArray
import org.json.JSONObject
import org.junit.jupiter.api.Assumptions.assumeTrue

/** Measurements for scripts/bench_jvm.py; surefire runs it only by name. */
class Bench {
    private val set = ImageSet.given()
    private val target = System.getProperty("edgekit.bench").orEmpty()
    private val rounds = Integer.getInteger("edgekit.bench.rounds", 3)
    private val small = Integer.getInteger("edgekit.bench.small", 1000)
    private val threads = Integer.getInteger("edgekit.bench.threads", 1)

    @Test
    fun measure() {
        assumeTrue(set != null && target.isNotEmpty(), "no -Dedgekit.images=DIR or -Dedgekit.bench=FILE was given")
        set!!.pipeline(threads).use { pipeline ->
            val report = JSONObject()
            report.put("images", times(set, pipeline))
            report.put("native_megabytes", memory(set, pipeline))
            File(target).writeText(report.toString(1))
        }
    }

    /** Returns the least seconds of each stage over the rounds, for each image; the first round warms up. */
    private fun times(set: ImageSet, pipeline: OcrPipeline): JSONArray {
        val best = List(set.images.size) { HashMap<String, Double>() }
        for (round in 0..rounds) {
            for (number in set.images.indices) {
                val image = set.image(number)
                val timings = pipeline.read(image).timings
                image.release()
                if (round == 0) continue
                for ((stage, seconds) in timings) {
                    best[number][stage] = minOf(seconds, best[number][stage] ?: seconds)
                }
            }
        }
        return JSONArray(best.map { JSONObject(it as Map<String, Any>) })
    }

    /** Returns native megabytes before and after each tenth of the small images. */
    private fun memory(set: ImageSet, pipeline: OcrPipeline): JSONArray {
        val numbers = set.images.indices.filter { set.images[it].width * set.images[it].height < 70_000 }
        val megabytes = JSONArray()
        for (step in 0 until small) {
            if (step % (small / 10) == 0) megabytes.put(ProcessMemory.nativeMegabytes())
            val image = set.image(numbers[step % numbers.size])
            pipeline.read(image)
            image.release()
        }
        megabytes.put(ProcessMemory.nativeMegabytes())
        return megabytes
    }
}
