package org.edgekit.ocr.app

import android.os.Handler
import android.os.Looper
import java.io.InputStream
import java.util.concurrent.Executors
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrResult

/** Where a job stands. */
sealed class JobState {
    /** Reading; [lines] were recognised so far. */
    class Running(val lines: Int) : JobState()

    class Done(val reading: Reading) : JobState()

    class Failed(val cause: Throwable) : JobState()

    object Cancelled : JobState()
}

/** One picture being read. Its [listener] is called on the main thread whenever [state] changes. */
class ReadJob internal constructor(val session: Session) : RunWatch {
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var cancelled = false

    @Volatile
    var state: JobState = JobState.Running(0)
        private set

    var listener: ((JobState) -> Unit)? = null

    /** Ends the job before its next run of a model. */
    fun cancel() {
        cancelled = true
    }

    override fun beforeRun() {
        if (cancelled) throw ReadCancelled()
    }

    override fun afterRun(role: String) {
        val now = state
        if (role == "rec" && now is JobState.Running) tell(JobState.Running(now.lines + 1))
    }

    internal fun tell(state: JobState) {
        this.state = state
        main.post { listener?.invoke(state) }
    }
}

/** Reads pictures one after the other on one thread, with one pipeline that stays open while the settings stay. */
class Reader(private val app: OcrApplication) {
    private val thread = Executors.newSingleThreadExecutor { work -> Thread(work, "ocr") }
    private val watch = CurrentJob()
    private val jobs = HashMap<String, ReadJob>()
    private var openFor: ReadSettings? = null

    @Volatile
    private var pipeline: OcrPipeline? = null

    /** Returns the last job of a session, finished or not, or null. */
    @Synchronized
    fun jobOf(id: String): ReadJob? = jobs[id]

    /** Starts to read the picture of [session]; [open] gives it where the session does not hold it yet. */
    @Synchronized
    fun start(session: Session, open: (() -> InputStream)?): ReadJob {
        val job = ReadJob(session)
        jobs.values.removeAll { it.state !is JobState.Running }
        jobs[session.id] = job
        thread.execute { job.tell(outcome(job, open)) }
        return job
    }

    /** Runs [work] on the reading thread; it is given what opens the pipeline of the present settings. */
    fun submit(work: (() -> OcrPipeline) -> Unit) = thread.execute { work { pipeline() } }

    /** Whether a pipeline is kept open. */
    val isOpen: Boolean get() = pipeline != null

    /** Runs [work] on the reading thread after closing the kept pipeline, so that it can open its own. */
    fun alone(work: () -> Unit) = thread.execute {
        closePipeline()
        work()
    }

    private fun outcome(job: ReadJob, open: (() -> InputStream)?): JobState = try {
        if (open != null && !job.session.source.isFile) open().use { job.session.import(it) }
        JobState.Done(read(job))
    } catch (cancelled: ReadCancelled) {
        JobState.Cancelled
    } catch (error: OutOfMemoryError) {
        closePipeline()
        JobState.Failed(error)
    } catch (error: LinkageError) {
        JobState.Failed(error)
    } catch (error: Exception) {
        // The thread's last line: whatever a picture or a provider does, the user gets a message.
        JobState.Failed(error)
    }

    private fun read(job: ReadJob): Reading {
        job.beforeRun()
        app.loadOpenCv()
        val degrees = job.session.degrees
        val picture = PictureDecoder(MemoryBudget.pixels(app)).decode(job.session.source).turnedBy(degrees)
        try {
            Preview.write(picture.image, job.session.preview)
            val result = watched(job) { pipeline().read(picture.image) }
            val engine = openFor?.engine.orEmpty()
            val reading = Reading(result, engine, picture.sourceWidth, picture.sourceHeight, degrees)
            job.session.keep(reading)
            return reading
        } finally {
            picture.image.release()
        }
    }

    private fun watched(job: ReadJob, work: () -> OcrResult): OcrResult {
        watch.job = job
        try {
            return work()
        } finally {
            watch.job = null
        }
    }

    private fun pipeline(): OcrPipeline {
        app.loadOpenCv()
        val settings = app.settings.load(app.bundle)
        pipeline?.let { if (settings == openFor) return it }
        closePipeline()
        return Pipelines(app.bundle).open(settings, watch).also {
            pipeline = it
            openFor = settings
        }
    }

    private fun closePipeline() {
        pipeline?.close()
        pipeline = null
        openFor = null
    }

    private class CurrentJob : RunWatch {
        @Volatile
        var job: ReadJob? = null

        override fun beforeRun() {
            job?.beforeRun()
        }

        override fun afterRun(role: String) {
            job?.afterRun(role)
        }
    }
}
