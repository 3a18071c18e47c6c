package org.edgekit.ocr

import kotlin.test.Test
import kotlin.test.assertEquals
import org.json.JSONObject

class RuntimeConfigTest {
    private val sample = """
        {"schema_version": 1, "target": "arm64", "device_profile": "generic-arm64", "opt_version": "2.14rc0",
         "recipe": "weight_int8", "labels": "labels.txt", "spec": {"file": "ocr_spec.json", "profile": "pp-ocrv4"},
         "models": {"det": {"file": "models/det.nb", "sha256": "ab", "precision": "fp32"},
                    "rec": {"file": "models/rec.nb", "sha256": "cd", "precision": "fp32"}},
         "abi": "arm64-v8a", "engine": "paddle_lite", "threads": 4, "power_mode": "LITE_POWER_HIGH",
         "limit_side_len": 960, "fp16": false, "opencl": false, "warm_up": 1,
         "reasons": {"threads": "four big cores"}}
    """

    @Test
    fun `a runtime configuration is read`() {
        val config = RuntimeConfig.parse(sample)
        assertEquals("2.14rc0", config.optVersion)
        assertEquals(ModelEntry("models/rec.nb", "cd", "fp32"), config.models["rec"])
        assertEquals(4, config.threads)
        assertEquals("pp-ocrv4", config.specProfile)
        assertEquals(mapOf("threads" to "four big cores"), config.reasons)
    }

    @Test
    fun `another version is refused`() = assertReports<BundleException>("version 2, this app reads 1") {
        RuntimeConfig.parse(changed { it.put("schema_version", 2) })
    }

    @Test
    fun `a damaged file is refused`() {
        for (text in listOf("", "null", sample.take(200))) {
            assertReports<BundleException>("runtime_config.json is damaged") { RuntimeConfig.parse(text) }
        }
    }

    @Test
    fun `a missing model is named`() = assertReports<BundleException>("models.rec is missing") {
        RuntimeConfig.parse(changed { it.getJSONObject("models").remove("rec") })
    }

    @Test
    fun `a value out of range is named`() {
        for ((key, value) in mapOf("threads" to 0, "warm_up" to -1, "engine" to "tflite", "fp16" to "no")) {
            assertReports<BundleException>("$key must be") { RuntimeConfig.parse(changed { it.put(key, value as Any) }) }
        }
    }

    private fun changed(change: (JSONObject) -> Unit) = JSONObject(sample).also(change).toString()
}
