package org.edgekit.ocr.app

import android.os.Handler
import android.os.Looper
import java.io.File
import java.io.IOException

/** Where a self-test stands. */
sealed class SelfTestProgress {
    object Idle : SelfTestProgress()

    class Running(val what: String) : SelfTestProgress()

    /** Everything ran; [errors] are the parts that could not. */
    class Done(val errors: List<String>) : SelfTestProgress()

    class Stopped(val cause: Throwable) : SelfTestProgress()
}

/** A self-test that outlives the rotation of its screen. All fields belong to the main thread. */
class SelfTestRun(private val app: OcrApplication) {
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var cancelled = false
    val checks = ArrayList<Check>()
    var progress: SelfTestProgress = SelfTestProgress.Idle
        private set
    var report: File? = null
        private set
    var listener: (() -> Unit)? = null

    /** Ends the test before its next run of a model. */
    fun cancel() {
        cancelled = true
    }

    /** Starts a test by [options]; returns false while one is running. */
    fun start(options: SelfTestOptions): Boolean {
        if (progress is SelfTestProgress.Running) return false
        checks.clear()
        report = null
        cancelled = false
        // A reader of the report must not take the last run's for this one's.
        place(options).delete()
        set(SelfTestProgress.Running(""))
        app.reader.alone { work(options) }
        return true
    }

    private fun work(options: SelfTestOptions) {
        val end = try {
            val done = SelfTest(app, options, steps, watch).run()
            keep(done, options)
            SelfTestProgress.Done(done.errors)
        } catch (error: OutOfMemoryError) {
            stopped(error, options)
        } catch (error: LinkageError) {
            stopped(error, options)
        } catch (error: Exception) {
            // The thread's last line: the screen shows whatever stopped the test.
            stopped(error, options)
        }
        main.post { set(end) }
    }

    /** Leaves a report of the failure too: who started the test by adb sees no screen. */
    private fun stopped(cause: Throwable, options: SelfTestOptions): SelfTestProgress {
        val report = SelfTestReport.stopped(options, cause)
        try {
            keep(report, options)
        } catch (error: IOException) {
            return SelfTestProgress.Stopped(error)
        }
        return SelfTestProgress.Stopped(cause)
    }

    private fun keep(done: SelfTestReport, options: SelfTestOptions) {
        val file = place(options)
        replace(file, done.toJson().toByteArray())
        main.post { report = file }
    }

    private fun place(options: SelfTestOptions): File {
        val folder = app.getExternalFilesDir(null) ?: app.filesDir
        return File(File(folder, "selftest"), options.report)
    }

    private fun set(next: SelfTestProgress) {
        progress = next
        listener?.invoke()
    }

    private fun add(check: Check) {
        main.post {
            // What failed stands first: nobody scrolls through a hundred rows for it.
            if (check.passed) checks.add(check) else checks.add(0, check)
            listener?.invoke()
        }
    }

    private val watch = object : RunWatch {
        override fun beforeRun() {
            if (cancelled) throw ReadCancelled()
        }
    }

    private val steps = object : SelfTestListener {
        override fun running(what: String) {
            main.post { set(SelfTestProgress.Running(what)) }
        }

        override fun checked(check: Check) = add(check)

        override fun compared(name: String, comparison: ImageComparison) {
            val score = String.format(java.util.Locale.ROOT, "%.1e", comparison.scoreDifference)
            val detail = app.getString(
                R.string.selftest_image, comparison.equalTexts, comparison.lines, comparison.shift, score,
            )
            add(Check(name, comparison.passed, detail))
        }
    }
}
