package org.edgekit.ocr

/** A model file of the bundle: its path in it, its sum, and the precision it computes in. */
data class ModelEntry(val file: String, val sha256: String, val precision: String)

/** What the device profile says: `runtime_config.json` of the bundle. */
data class RuntimeConfig(
    val target: String,
    val deviceProfile: String,
    /** The version of opt as its wheel spells it (`2.14rc0`); a `.nb` header says `v2.14-rc`. */
    val optVersion: String,
    val recipe: String,
    /** By role: `det`, `rec` and perhaps `cls`. */
    val models: Map<String, ModelEntry>,
    val labels: String,
    val specFile: String,
    val specProfile: String,
    val abi: String,
    /** `paddle_lite` or `opencv`. */
    val engine: String,
    val threads: Int,
    /** Paddle Lite's word, such as `LITE_POWER_HIGH`. */
    val powerMode: String,
    val limitSideLen: Int,
    val fp16: Boolean,
    val openCl: Boolean,
    val warmUp: Int,
    val reasons: Map<String, String>,
) {
    companion object {
        /** The version of the file's format that this code was written for. */
        const val VERSION = 1
        private const val HINT = "build the bundle and the app with one version of edge-kit"

        /** Parses `runtime_config.json`; throws [BundleException] that names the key when it is damaged. */
        fun parse(json: String): RuntimeConfig {
            val root = JsonReader.parse(json) { BundleException("runtime_config.json is damaged: $it", HINT) }
            val version = root.int("schema_version")
            if (version != VERSION) {
                throw BundleException("runtime_config.json has version $version, this app reads $VERSION", HINT)
            }
            return read(root)
        }

        private fun read(root: JsonReader): RuntimeConfig {
            val models = root.child("models")
            for (role in listOf("det", "rec")) models.child(role)
            val spec = root.child("spec")
            val reasons = root.child("reasons")
            return RuntimeConfig(
                target = root.string("target"),
                deviceProfile = root.string("device_profile"),
                optVersion = root.string("opt_version"),
                recipe = root.string("recipe"),
                models = models.keys().associateWith { model(models.child(it)) },
                labels = root.string("labels"),
                specFile = spec.string("file"),
                specProfile = spec.string("profile"),
                abi = root.string("abi"),
                engine = root.choice("engine", listOf("paddle_lite", "opencv").associateWith { it }),
                threads = root.int("threads", 1, 16),
                powerMode = root.string("power_mode"),
                limitSideLen = root.int("limit_side_len", 32, 4096),
                fp16 = root.boolean("fp16"),
                openCl = root.boolean("opencl"),
                warmUp = root.int("warm_up", 0, 100),
                reasons = reasons.keys().associateWith { reasons.string(it) },
            )
        }

        private fun model(json: JsonReader) =
            ModelEntry(json.string("file"), json.string("sha256"), json.string("precision"))
    }
}
