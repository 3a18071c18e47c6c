package org.edgekit.ocr.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Context
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.net.Uri
import android.os.Bundle
import android.os.SystemClock
import android.view.Menu
import android.view.MenuItem
import android.view.View
import android.widget.ListView
import android.widget.TextView
import java.io.File
import java.io.IOException
import java.text.NumberFormat
import org.edgekit.ocr.OcrResult

/** Reads one picture and shows it with its boxes and lines. The session on disk outlives rotation and the process. */
class ResultActivity : Activity() {
    private val picture by lazy { findViewById<PictureView>(R.id.picture) }
    private val list by lazy { findViewById<ListView>(R.id.lines) }
    private var session: Session? = null
    private var job: ReadJob? = null
    private var reading: Reading? = null
    private var dialog: AlertDialog? = null
    private var selected = NONE
    private var bitmap: Bitmap? = null
    private var decoding = false
    private var canTurn = false
    private val spoken = Throttle(SPEAK_MILLIS, spoken = -1)

    /** Changes when the picture is read again: a bitmap of before does not count. */
    private var readings = 0

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_result)
        findViewById<View>(R.id.cancel).setOnClickListener { job?.cancel() }
        findViewById<View>(R.id.again).setOnClickListener { readAgain() }
        picture.onLine = { select(it) }
        list.setOnItemClickListener { _, _, position, _ -> select(position) }
        list.setOnItemLongClickListener { _, _, position, _ -> copy(reading?.result?.lines?.get(position)?.text) }
        selected = state?.getInt(SELECTED, NONE) ?: NONE
        openSession(state)
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(SESSION, session?.id)
        state.putInt(SELECTED, selected)
    }

    override fun onDestroy() {
        job?.listener = null
        // A dialog that outlives its screen is leaked.
        dialog?.dismiss()
        // Who leaves does not wait for it; a list of pictures goes on.
        if (isFinishing && SharedPictures.extra(intent, FROM_LIST) != true) job?.cancel()
        super.onDestroy()
    }

    private fun openSession(state: Bundle?) = try {
        val id = state?.getString(SESSION) ?: SharedPictures.extra(intent, SESSION) as? String
        val found = id?.let { ocr.sessions.find(it) } ?: ocr.sessions.create()
        session = found
        val job = ocr.reader.jobOf(found.id)
        when {
            job != null -> follow(job)
            // One that was read before the picture was turned does not count.
            found.isRead -> load({ found.reading?.takeIf { it.degrees == found.degrees } }) {
                if (it != null) showReading(it) else follow(start(found))
            }
            else -> follow(start(found))
        }
    } catch (error: IOException) {
        showFault(error)
    }

    private fun start(session: Session): ReadJob {
        val uri = SharedPictures.one(intent)
        // Of the application: the job may outlive this screen.
        val resolver = applicationContext.contentResolver
        return ocr.reader.start(session) { SharedPictures.open(resolver, uri) }
    }

    private fun follow(job: ReadJob) {
        this.job = job
        job.listener = { show(it) }
        show(job.state)
    }

    private fun show(state: JobState) {
        showRunning(!state.ended)
        if (state is JobState.Running && state.preview) showPicture()
        // The picture is there from some moment on, and can be turned then.
        if (!canTurn && session?.source?.isFile == true) invalidateOptionsMenu()
        when (state) {
            is JobState.Waiting, is JobState.Running -> showProgress(state)
            is JobState.Done -> showReading(state.reading)
            is JobState.Failed -> showFault(state.cause)
            is JobState.Cancelled -> showStatus(getString(R.string.result_cancelled), again = true)
        }
    }

    private fun showRunning(running: Boolean) {
        findViewById<View>(R.id.progress).visibility = if (running) View.VISIBLE else View.GONE
        if (running) findViewById<View>(R.id.again).visibility = View.GONE
        if (running) findViewById<View>(R.id.status).visibility = View.GONE
    }

    private fun showProgress(state: JobState) {
        val progress = findViewById<TextView>(R.id.progress_text)
        progress.text = Messages.progress(this, state)
        val lines = (state as? JobState.Running)?.lines ?: 0
        // Lines come faster than they can be spoken.
        if (spoken.due(lines, SystemClock.elapsedRealtime())) progress.announceForAccessibility(progress.text)
    }

    private fun showFault(error: Throwable) {
        showRunning(false)
        showStatus(Messages.of(this, error), again = session?.source?.isFile == true)
    }

    private fun showStatus(text: String, again: Boolean) {
        findViewById<View>(R.id.again).visibility = if (again) View.VISIBLE else View.GONE
        val status = findViewById<TextView>(R.id.status)
        status.visibility = View.VISIBLE
        status.text = text
    }

    private fun showReading(reading: Reading) {
        this.reading = reading
        val result = reading.result
        showRunning(false)
        showStatus(summary(reading), again = false)
        list.adapter = LinesAdapter(layoutInflater, result.lines) { copy(it) }
        showPicture()
        if (selected in result.lines.indices) select(selected)
        val count = result.lines.size
        picture.contentDescription = resources.getQuantityString(R.plurals.result_picture, count, count)
        invalidateOptionsMenu()
    }

    /** Shows the small picture as soon as there is one, with the boxes as soon as they are known. */
    private fun showPicture() {
        val known = bitmap
        val file = session?.preview ?: return
        if (known != null) return picture.show(known, reading?.result)
        if (decoding) return
        decoding = true
        val begun = readings
        load({ decoded(file) }) { found ->
            if (begun == readings) {
                decoding = false
                bitmap = found
                if (found != null) picture.show(found, reading?.result)
            }
        }
    }

    /** Returns a small picture; a lost one, or no memory for it, leaves the list: the text is what is wanted. */
    private fun decoded(file: File): Bitmap? = try {
        BitmapFactory.decodeFile(file.path)
    } catch (error: OutOfMemoryError) {
        null
    }

    private fun summary(reading: Reading): String {
        val result = reading.result
        val engine = Messages.engine(this, reading.engine)
        val seconds = number(result.timings["total"] ?: 0.0, 2)
        val count = result.lines.size
        val headline = if (count == 0) {
            getString(R.string.result_none, seconds, engine)
        } else {
            resources.getQuantityString(R.plurals.result_summary, count, count, seconds, engine)
        }
        val notes = arrayListOf(headline)
        if (reading.reduced) {
            notes += getString(
                R.string.result_reduced, result.width, result.height, reading.sourceWidth, reading.sourceHeight,
            )
        }
        if (ocr.settings.noticeDue) notes += getString(R.string.notice_lite)
        return notes.joinToString("\n")
    }

    /** Marks a line in the picture and in the list. */
    private fun select(index: Int) {
        selected = index
        picture.select(index)
        list.setItemChecked(index, true)
        if (index < list.firstVisiblePosition || index > list.lastVisiblePosition) list.setSelection(index)
    }

    override fun onCreateOptionsMenu(menu: Menu): Boolean {
        menuInflater.inflate(R.menu.result, menu)
        val done = reading != null
        val some = reading?.result?.lines?.isNotEmpty() == true
        menu.findItem(R.id.action_delete).isVisible = session != null
        for (id in listOf(R.id.action_copy, R.id.action_share_text)) menu.findItem(id).isVisible = some
        // Also while a picture that lies on its side is being read, or says nothing.
        canTurn = session?.source?.isFile == true
        menu.findItem(R.id.action_turn).isVisible = canTurn
        for (id in listOf(R.id.action_share_json, R.id.action_timings, R.id.action_again)) {
            menu.findItem(id).isVisible = done
        }
        return true
    }

    override fun onOptionsItemSelected(item: MenuItem): Boolean {
        if (item.itemId == R.id.action_delete) return askToDelete()
        if (item.itemId == R.id.action_turn) return turn()
        val result = reading?.result ?: return super.onOptionsItemSelected(item)
        when (item.itemId) {
            R.id.action_copy -> copy(result.toText())
            R.id.action_share_text -> share(result.toText(), R.string.share_text)
            R.id.action_share_json -> shareJson(result)
            R.id.action_timings -> showTimings(result)
            R.id.action_again -> readAgain()
            else -> return super.onOptionsItemSelected(item)
        }
        return true
    }

    private fun shareJson(result: OcrResult) =
        shareFile("text-${session?.id}.json", R.string.share_json, ::showFault) { result.toJson().toByteArray() }

    private fun askToDelete(): Boolean {
        dialog = AlertDialog.Builder(this)
            .setMessage(R.string.delete_one)
            .setPositiveButton(R.string.delete) { _, _ -> delete() }
            .setNegativeButton(R.string.keep, null)
            .show()
        return true
    }

    private fun delete() {
        session?.let { ocr.reader.delete(it) }
        session = null
        finish()
    }

    private fun showTimings(result: OcrResult) {
        val text = STAGES.filter { it in result.timings }.joinToString("\n") { stage ->
            val milliseconds = number(result.timings.getValue(stage) * 1000, 1)
            getString(R.string.result_timing, getString(stageName(stage)), milliseconds)
        }
        dialog = AlertDialog.Builder(this)
            .setTitle(R.string.result_timings)
            .setMessage(text)
            .setPositiveButton(R.string.ok, null)
            .show()
    }

    private fun stageName(stage: String): Int = when (stage) {
        "det_pre" -> R.string.stage_det_pre
        "det" -> R.string.stage_det
        "det_post" -> R.string.stage_det_post
        "rec_pre" -> R.string.stage_rec_pre
        "rec" -> R.string.stage_rec
        "rec_post" -> R.string.stage_rec_post
        else -> R.string.stage_total
    }

    private fun readAgain() {
        val session = this.session ?: return
        session.forget()
        startAnew(session)
    }

    /** Turns the picture by 90 degrees and reads it again; the file that came stays as it is. */
    private fun turn(): Boolean {
        val session = this.session ?: return true
        job?.cancel()
        job?.listener = null
        try {
            session.turn()
            picture.turn()
            startAnew(session)
        } catch (error: IOException) {
            showFault(error)
        }
        return true
    }

    private fun startAnew(session: Session) {
        reading = null
        readings += 1
        bitmap = null
        decoding = false
        selected = NONE
        list.adapter = null
        invalidateOptionsMenu()
        follow(start(session))
    }

    private fun number(value: Double, digits: Int): String {
        val format = NumberFormat.getNumberInstance()
        format.minimumFractionDigits = digits
        format.maximumFractionDigits = digits
        return format.format(value)
    }

    companion object {
        private const val SESSION = "session"
        private const val SELECTED = "selected"
        private const val FROM_LIST = "from_list"
        private const val NONE = ListView.INVALID_POSITION

        /** Between two counts of lines that are spoken. */
        private const val SPEAK_MILLIS = 3000L

        /** Returns an intent that reads the picture at [uri]. */
        fun intent(context: Context, uri: Uri): Intent =
            Intent(context, ResultActivity::class.java).setData(uri).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)

        /**
         * Returns an intent that shows a session, and reads its picture if that was not done; [fromList] says that the
         * reading is to go on when the user goes back.
         */
        fun intent(context: Context, session: Session, fromList: Boolean = false): Intent =
            Intent(context, ResultActivity::class.java).putExtra(SESSION, session.id).putExtra(FROM_LIST, fromList)
    }
}
