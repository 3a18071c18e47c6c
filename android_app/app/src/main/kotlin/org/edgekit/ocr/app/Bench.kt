package org.edgekit.ocr.app

import org.edgekit.ocr.OcrPipeline
import org.opencv.core.Mat

/** Measures a pipeline on [images], all of them in each round: [warmUp] rounds that do not count, then [rounds]. */
class Bench(private val images: List<Mat>, private val warmUp: Int, private val rounds: Int) {
    /** Returns the times of [pipeline], which was opened with [settings]. */
    fun measure(pipeline: OcrPipeline, settings: ReadSettings): BenchRow {
        repeat(warmUp) { round(pipeline) }
        val measured = List(rounds) { round(pipeline) }
        val sums = { stage: String -> measured.map { round -> 1000 * round.sumOf { it.getValue(stage) } } }
        return BenchRow(settings.threads, settings.powerMode, sums("det"), sums("rec"), sums("total"))
    }

    private fun round(pipeline: OcrPipeline): List<Map<String, Double>> = images.map { pipeline.read(it).timings }
}
