package org.edgekit.ocr.app

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
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
        findViewById<View>(R.id.pictures).setOnClickListener { show(PicturesActivity::class.java) }
        findViewById<View>(R.id.notice_dismiss).setOnClickListener { answerNotice { ocr.settings.dismissNotice() } }
        findViewById<View>(R.id.notice_retry).setOnClickListener { answerNotice { ocr.settings.retryLite() } }
    }

    override fun onStart() {
        super.onStart()
        // While the user looks for a picture.
        ocr.reader.warmUp()
    }

    override fun onResume() {
        super.onResume()
        findViewById<View>(R.id.problem).visibility = View.GONE
        refresh()
    }

    private fun refresh() {
        findViewById<View>(R.id.notice).visibility = if (ocr.settings.noticeDue) View.VISIBLE else View.GONE
        load({ ocr.sessions.all().isNotEmpty() }) { some ->
            findViewById<View>(R.id.pictures).visibility = if (some) View.VISIBLE else View.GONE
        }
        load(::engine) { (message, isProblem) ->
            if (isProblem) showProblem(message) else findViewById<TextView>(R.id.engine).text = message
        }
    }

    private fun answerNotice(answer: () -> Unit) {
        answer()
        refresh()
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.main, menu)
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean = when (item.itemId) {
        R.id.action_settings -> show(SettingsActivity::class.java)
        R.id.action_selftest -> show(SelfTestActivity::class.java)
        R.id.action_licences -> show(LicencesActivity::class.java)
        else -> super.onOptionsItemSelected(item)
    }

    private fun show(screen: Class<out Activity>): Boolean {
        startActivity(Intent(this, screen))
        return true
    }

    /** Returns what is said of the engine, and whether that is a problem. */
    private fun engine(): Pair<String, Boolean> = try {
        val settings = ocr.settings.load(ocr.bundle)
        val engine = Messages.engine(this, settings.engine)
        val engineLine = getString(R.string.main_engine, engine, ocr.bundle.info.recipe)
        val lacks = if (ocr.bundle.info.hasPaddleLite) "" else "\n" + getString(R.string.main_no_lite)
        engineLine + lacks to false
    } catch (error: OcrException) {
        Messages.of(this, error) to true
    }

    private fun showProblem(message: String) {
        val view = findViewById<TextView>(R.id.problem)
        view.text = message
        view.visibility = View.VISIBLE
    }

    private fun pick() {
        for (picker in listOfNotNull(photoPicker(), documents())) {
            try {
                return startActivityForResult(picker, PICK)
            } catch (error: ActivityNotFoundException) {
                // The next one may be there.
            }
        }
        showProblem(getString(R.string.main_no_picker))
    }

    /** Android's photo picker, which shows pictures alone and gives no access to others. */
    private fun photoPicker(): Intent? {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) return null
        return Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*")
            .putExtra(MediaStore.EXTRA_PICK_IMAGES_MAX, SessionStore.MOST)
    }

    private fun documents(): Intent = Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE)
        .setType("image/*").putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true)

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        if (request != PICK || result != RESULT_OK || data == null) return
        val picked = SharedPictures.picked(data)
        when (picked.size) {
            0 -> Unit
            1 -> startActivity(ResultActivity.intent(this, picked[0]))
            else -> startActivity(PicturesActivity.intent(this, picked))
        }
    }

    private companion object {
        const val PICK = 1
    }
}
