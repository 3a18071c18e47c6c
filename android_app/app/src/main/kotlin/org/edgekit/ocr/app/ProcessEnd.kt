package org.edgekit.ocr.app

import android.app.ActivityManager
import android.app.ApplicationExitInfo
import android.content.Context
import android.os.Build

/** Why an earlier process of the app ended, as far as the system reports. */
object ProcessEnd {
    private const val SIGKILL = 9

    /** What ends a process from outside, whatever it is doing. */
    private val fromOutside = setOf(
        ApplicationExitInfo.REASON_LOW_MEMORY,
        ApplicationExitInfo.REASON_PERMISSION_CHANGE,
        ApplicationExitInfo.REASON_EXCESSIVE_RESOURCE_USAGE,
        ApplicationExitInfo.REASON_USER_REQUESTED,
        ApplicationExitInfo.REASON_USER_STOPPED,
        ApplicationExitInfo.REASON_DEPENDENCY_DIED,
        ApplicationExitInfo.REASON_OTHER,
        ApplicationExitInfo.REASON_FREEZER,
        ApplicationExitInfo.REASON_PACKAGE_STATE_CHANGE,
        ApplicationExitInfo.REASON_PACKAGE_UPDATED,
    )

    /** Whether process [pid] ended by its own fault; true too where nothing is known of it, as before Android 11. */
    fun byItself(context: Context, pid: Int): Boolean {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.R || pid == CrashMarker.UNKNOWN) return true
        val manager = context.getSystemService(ActivityManager::class.java)
        val last = manager.getHistoricalProcessExitReasons(context.packageName, pid, 1).firstOrNull() ?: return true
        return byItself(last.reason, last.status)
    }

    /** The same of Android's [reason] and [status], which is a signal's number where a signal is the reason. */
    fun byItself(reason: Int, status: Int): Boolean {
        if (reason == ApplicationExitInfo.REASON_SIGNALED) return status != SIGKILL
        return reason !in fromOutside
    }
}
