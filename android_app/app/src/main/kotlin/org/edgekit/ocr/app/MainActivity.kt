package org.edgekit.ocr.app

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.os.Bundle
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.widget.TextView
import org.edgekit.ocr.OcrException

/** The start: where a picture comes from. */
class MainActivity : Activity() {
    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_main, withUp = false)
        findViewById<View>(R.id.pick).setOnClickListener { pick() }
        findViewById<View>(R.id.photo).setOnClickListener { startActivity(CameraActivity.intent(this, live = false)) }
        findViewById<View>(R.id.live).setOnClickListener { startActivity(CameraActivity.intent(this, live = true)) }
        findViewById<View>(R.id.last).setOnClickListener { showLast() }
    }

    override fun onResume() {
        super.onResume()
        findViewById<View>(R.id.problem).visibility = View.GONE
        findViewById<View>(R.id.last).visibility = if (ocr.sessions.lastRead() != null) View.VISIBLE else View.GONE
        showEngine()
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean = when (item.itemId) {
        R.id.action_settings -> show(SettingsActivity::class.java)
        R.id.action_selftest -> show(SelfTestActivity::class.java)
        else -> super.onOptionsItemSelected(item)
    }

    private fun show(screen: Class<out Activity>): Boolean {
        startActivity(Intent(this, screen))
        return true
    }

    private fun showEngine() = try {
        val settings = ocr.settings.load(ocr.bundle)
        val engine = Messages.engine(this, settings.engine)
        val told = getString(R.string.main_engine, engine, ocr.bundle.info.recipe)
        val lacks = if (ocr.bundle.info.hasPaddleLite) "" else "\n" + getString(R.string.main_no_lite)
        findViewById<TextView>(R.id.engine).text = told + lacks
    } catch (error: OcrException) {
        showProblem(Messages.of(this, error))
    }

    private fun showProblem(message: String) {
        val view = findViewById<TextView>(R.id.problem)
        view.text = message
        view.visibility = View.VISIBLE
    }

    private fun pick() {
        val intent = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*")
        try {
            startActivityForResult(intent, PICK)
        } catch (error: ActivityNotFoundException) {
            showProblem(getString(R.string.main_no_picker))
        }
    }

    private fun showLast() {
        ocr.sessions.lastRead()?.let { startActivity(ResultActivity.intent(this, it)) }
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val picked = data?.data
        if (request == PICK && result == RESULT_OK && picked != null) startActivity(ResultActivity.intent(this, picked))
    }

    private companion object {
        const val PICK = 1
    }
}
