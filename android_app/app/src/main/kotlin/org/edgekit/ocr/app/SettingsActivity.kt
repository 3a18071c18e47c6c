package org.edgekit.ocr.app

import android.app.Activity
import android.os.Bundle
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Spinner
import android.widget.TextView
import org.edgekit.ocr.OcrException

/** Engine, threads, power mode and the longest side; each choice holds from the next picture on. */
class SettingsActivity : Activity() {
    private lateinit var settings: ReadSettings

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_settings)
        try {
            settings = ocr.settings.load(ocr.bundle)
            fill()
        } catch (error: OcrException) {
            findViewById<TextView>(R.id.about).text = Messages.of(this, error)
        }
    }

    private fun fill() {
        val bundle = ocr.bundle
        val withLite = bundle.info.hasPaddleLite
        val engines = if (withLite) listOf(ENGINE_PADDLE_LITE, ENGINE_OPENCV) else listOf(ENGINE_OPENCV)
        choice(R.id.engine, engines, settings.engine, { Messages.engine(this, it) }) { settings.copy(engine = it) }
        choice(R.id.threads, threadChoices(), settings.threads, { it.toString() }) { settings.copy(threads = it) }
        choice(R.id.power, POWER.keys.toList(), settings.powerMode, { getString(POWER.getValue(it)) }) {
            settings.copy(powerMode = it)
        }
        choice(R.id.side, sideChoices(), settings.limitSideLen, { it.toString() }) { settings.copy(limitSideLen = it) }
        findViewById<View>(R.id.engine_note).visibility = if (withLite) View.GONE else View.VISIBLE
        findViewById<View>(R.id.power_note).visibility = if (withLite) View.VISIBLE else View.GONE
        showPower()
        findViewById<TextView>(R.id.side_note).text =
            getString(R.string.settings_side_note, bundle.runtime.limitSideLen)
        findViewById<TextView>(R.id.about).text =
            getString(R.string.picture_model, bundle.info.recipe, bundle.info.optVersion)
        findViewById<View>(R.id.reset).setOnClickListener {
            ocr.settings.reset()
            recreate()
        }
    }

    private fun threadChoices(): List<Int> {
        val most = maxOf(Runtime.getRuntime().availableProcessors(), settings.threads, ocr.bundle.runtime.threads)
        return (1..most.coerceAtMost(MOST_THREADS)).toList()
    }

    private fun sideChoices(): List<Int> =
        (SIDES + settings.limitSideLen + ocr.bundle.runtime.limitSideLen).toSortedSet().toList()

    private fun <T> choice(id: Int, values: List<T>, now: T, name: (T) -> String, changed: (T) -> ReadSettings) {
        val spinner = findViewById<Spinner>(id)
        val names = ArrayAdapter(this, android.R.layout.simple_spinner_item, values.map(name))
        names.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item)
        spinner.adapter = names
        spinner.setSelection(values.indexOf(now).coerceAtLeast(0))
        spinner.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) {
                val next = changed(values[position])
                if (next != settings) keep(next)
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    private fun keep(next: ReadSettings) {
        settings = next
        ocr.settings.save(next)
        showPower()
    }

    /** Only Paddle Lite knows power modes. */
    private fun showPower() {
        val power = findViewById<View>(R.id.power)
        power.isEnabled = settings.engine == ENGINE_PADDLE_LITE
        power.alpha = if (power.isEnabled) 1f else DISABLED_ALPHA
    }

    private companion object {
        const val MOST_THREADS = 16
        const val DISABLED_ALPHA = 0.4f
        val SIDES = listOf(480, 640, 736, 960, 1280, 1600)
        val POWER = linkedMapOf(
            "LITE_POWER_HIGH" to R.string.power_high,
            "LITE_POWER_LOW" to R.string.power_low,
            "LITE_POWER_FULL" to R.string.power_full,
            "LITE_POWER_NO_BIND" to R.string.power_no_bind,
            "LITE_POWER_RAND_HIGH" to R.string.power_rand_high,
            "LITE_POWER_RAND_LOW" to R.string.power_rand_low,
        )
    }
}
