package org.edgekit.ocr.app

import org.edgekit.ocr.OcrPipeline
import org.opencv.core.Mat

/**
 * Measures a pipeline on [images], all of them in each round: [warmUp] rounds that do not count, then [rounds].
 *
 * [stateOf] returns the state of the device; a round has the worse of those before and after it.
 */
class Bench(
    private val images: List<Mat>,
    private val warmUp: Int,
    private val rounds: Int,
    private val stateOf: () -> DeviceState,
) {
    /** Returns the times of [pipeline], which was opened with [settings]. */
    fun measure(pipeline: OcrPipeline, settings: ReadSettings): BenchRow {
        repeat(warmUp) { round(pipeline) }
        val times = ArrayList<List<Map<String, Double>>>()
        val states = arrayListOf(stateOf())
        repeat(rounds) {
            times.add(round(pipeline))
            states.add(stateOf())
        }
        val sums = { stage: String -> times.map { round -> 1000 * round.sumOf { it.getValue(stage) } } }
        return BenchRow(settings, sums("det"), sums("rec"), sums("total"), states.zipWithNext { a, b -> a.worse(b) })
    }

    private fun round(pipeline: OcrPipeline): List<Map<String, Double>> = images.map { pipeline.read(it).timings }
}
