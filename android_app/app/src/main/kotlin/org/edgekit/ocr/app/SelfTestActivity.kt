package org.edgekit.ocr.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.ListView
import android.widget.TextView
import java.io.File
import org.edgekit.ocr.OcrException

/** Runs the self-test and shows it; an intent with the extras of [SelfTestOptions] starts it, as adb does. */
class SelfTestActivity : Activity() {
    private val list by lazy { findViewById<ListView>(R.id.checks) }
    private val status by lazy { findViewById<TextView>(R.id.selftest_status) }
    private val run by lazy { findViewById<View>(R.id.run) }
    private lateinit var test: SelfTestRun
    private lateinit var rows: ChecksAdapter

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        showLayout(R.layout.activity_selftest)
        list.addHeaderView(layoutInflater.inflate(R.layout.selftest_head, list, false), null, false)
        run.setOnClickListener { start(SelfTestOptions.VERIFY_ONLY) }
        findViewById<View>(R.id.share_report).setOnClickListener { shareReport() }
        @Suppress("DEPRECATION")
        test = lastNonConfigurationInstance as? SelfTestRun ?: SelfTestRun(ocr)
        rows = ChecksAdapter(layoutInflater, test.checks)
        list.adapter = rows
        test.listener = { show() }
        show()
        if (state == null) startIfAsked(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        startIfAsked(intent)
    }

    @Deprecated("Deprecated in Java")
    override fun onRetainNonConfigurationInstance(): Any = test

    override fun onDestroy() {
        test.listener = null
        if (isFinishing) test.cancel()
        super.onDestroy()
    }

    private fun startIfAsked(intent: Intent) {
        // The list of recent apps sends the intent of the first start again.
        if (intent.flags and Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY != 0) return
        if (!intent.getBooleanExtra(SelfTestOptions.RUN, false)) return
        try {
            start(SelfTestOptions.of(intent))
        } catch (error: OcrException) {
            status.text = Messages.of(this, error)
        }
    }

    private fun start(options: SelfTestOptions) {
        if (!test.start(options)) status.text = getString(R.string.selftest_busy)
    }

    private fun show() {
        rows.notifyDataSetChanged()
        run.isEnabled = test.progress !is SelfTestProgress.Running
        list.keepScreenOn = test.progress is SelfTestProgress.Running
        status.text = describe(test.progress)
        val report = test.report
        val visible = if (report == null) View.GONE else View.VISIBLE
        findViewById<View>(R.id.share_report).visibility = visible
        val path = findViewById<TextView>(R.id.report_path)
        path.visibility = visible
        path.text = report?.let { getString(R.string.selftest_report, "${it.parentFile?.name}/${it.name}") }
    }

    private fun describe(progress: SelfTestProgress): String = when (progress) {
        is SelfTestProgress.Idle -> ""
        is SelfTestProgress.Running -> getString(R.string.selftest_running, progress.what)
        is SelfTestProgress.Stopped -> getString(R.string.selftest_stopped, Messages.of(this, progress.cause))
        is SelfTestProgress.Done -> verdict(progress.errors)
    }

    private fun verdict(errors: List<String>): String {
        val failed = test.checks.count { !it.passed }
        val counted = when {
            test.checks.isEmpty() -> getString(R.string.selftest_empty)
            failed > 0 -> getString(R.string.selftest_failed, failed, test.checks.size)
            else -> getString(R.string.selftest_passed, test.checks.size)
        }
        return (listOf(counted) + errors.map { getString(R.string.error_details, it) }).joinToString("\n")
    }

    private fun shareReport() {
        val report: File = test.report ?: return
        shareFile(report.name, R.string.selftest_share, { status.text = Messages.of(this, it) }) { report.readBytes() }
    }
}
