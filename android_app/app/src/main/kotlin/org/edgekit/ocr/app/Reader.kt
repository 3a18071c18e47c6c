package org.edgekit.ocr.app

import android.os.Handler
import android.os.Looper
import java.io.InputStream
import java.util.concurrent.Executors
import org.edgekit.ocr.OcrException
import org.edgekit.ocr.OcrPipeline
import org.edgekit.ocr.OcrProgress
import org.edgekit.ocr.OcrResult

/** Where a job stands. */
sealed class JobState {
    /** Others are read before it. */
    object Waiting : JobState()

    /** Reading: [lines] of [found] lines are recognised, of null while they are looked for; [preview] can be shown. */
    data class Running(val preview: Boolean = false, val lines: Int = 0, val found: Int? = null) : JobState()

    class Done(val reading: Reading) : JobState()

    class Failed(val cause: Throwable) : JobState()

    object Cancelled : JobState()

    val ended: Boolean get() = this !is Waiting && this !is Running
}

/** One picture being read. Its [listener] is called on the main thread whenever [state] changes. */
class ReadJob internal constructor(val session: Session) : RunWatch, OcrProgress {
    private val main = Handler(Looper.getMainLooper())

    @Volatile
    private var cancelled = false

    @Volatile
    var state: JobState = JobState.Waiting
        private set

    var listener: ((JobState) -> Unit)? = null

    /** Ends the job before its next run of a model. */
    fun cancel() {
        cancelled = true
    }

    override fun beforeRun() {
        if (cancelled) throw ReadCancelled()
    }

    override fun found(boxes: Int) = step { it.copy(found = boxes) }

    override fun recognised() = step { it.copy(lines = it.lines + 1) }

    internal fun step(next: (JobState.Running) -> JobState.Running) {
        publish(next(state as? JobState.Running ?: JobState.Running()))
    }

    internal fun publish(state: JobState) {
        this.state = state
        main.post { listener?.invoke(state) }
    }
}

/** Reads pictures one after the other on one thread, with one pipeline that stays open while the settings stay. */
class Reader(private val app: OcrApplication) {
    private val thread = KeyedThread("ocr")
    private val importing = Executors.newSingleThreadExecutor { work -> Thread(work, "import") }
    private val watch = CurrentWork()
    private val jobs = HashMap<String, ReadJob>()
    private var openFor: ReadSettings? = null

    @Volatile
    private var pipeline: OcrPipeline? = null

    @Volatile
    private var warmingUp: Cancellable? = null

    /** Returns the last job of a session, finished or not, or null. */
    @Synchronized
    fun jobOf(id: String): ReadJob? = jobs[id]

    /** Starts to read the picture of [session]; [open] gives it where the session does not hold it yet. */
    @Synchronized
    fun start(session: Session, open: (() -> InputStream)?): ReadJob {
        val job = ReadJob(session)
        jobs.values.removeAll { it.state.ended }
        jobs[session.id] = job
        // All pictures are taken over before the first is read: who shares them does not keep them for long.
        importing.execute { if (imported(job, open)) thread.execute(::binding) { job.publish(outcome(job)) } }
        return job
    }

    /** Runs [work] on the reading thread; it is given what opens the pipeline of the present settings. */
    fun submit(work: (() -> OcrPipeline) -> Unit) = thread.execute(::binding) { work { pipeline() } }

    /** Whether a pipeline is kept open. */
    val isOpen: Boolean get() = pipeline != null

    /**
     * Runs [work] after closing the kept pipeline, so that it can open its own, on a thread that nothing else has or
     * will run on.
     */
    fun alone(work: () -> Unit) {
        val nobodyElses = Any()
        thread.execute({ nobodyElses }) {
            closePipeline()
            work()
        }
    }

    /** Closes the kept pipeline; the next picture opens it again. */
    fun letGo() = thread.execute({ null }) { closePipeline() }

    /**
     * Opens the pipeline ahead of the first picture, unless memory is short. Returns at once; a fault is left to the
     * picture, which meets it again and says so.
     */
    fun warmUp() {
        if (isOpen || warmingUp != null) return
        val work = Cancellable()
        warmingUp = work
        thread.execute(::binding) {
            try {
                if (!MemoryBudget.isShort(app)) watched(work) { pipeline() }
            } catch (cancelled: ReadCancelled) {
                // Memory became short.
            } catch (error: OutOfMemoryError) {
                closePipeline()
            } catch (error: LinkageError) {
                // As with every other fault.
            } catch (error: OcrException) {
                if (Messages.lacksMemory(error)) closePipeline()
            } finally {
                warmingUp = null
            }
        }
    }

    /** Ends what [warmUp] began before its next step. */
    fun cancelWarmUp() {
        warmingUp?.cancel()
    }

    /** Ends the reading of [session], if it is being read, and deletes it after that. */
    fun delete(session: Session) {
        jobOf(session.id)?.cancel()
        app.sessions.hide(session)
        importing.execute { thread.execute({ null }) { app.sessions.sweep() } }
    }

    /** The settings' part that the reading thread depends on; settings that cannot be had are the work's to report. */
    private fun binding(): Any? = try {
        app.settings.load(app.bundle).binding
    } catch (error: OcrException) {
        null
    }

    private fun imported(job: ReadJob, open: (() -> InputStream)?): Boolean {
        val fault = faultOf {
            job.beforeRun()
            if (open != null && !job.session.source.isFile) open().use { job.session.import(it) }
            app.sessions.prune(busy())
            null
        } ?: return true
        job.publish(fault)
        return false
    }

    @Synchronized
    private fun busy(): Set<String> = jobs.filterValues { !it.state.ended }.keys.toSet()

    private fun outcome(job: ReadJob): JobState {
        val state = checkNotNull(faultOf { JobState.Done(read(job)) })
        if (state is JobState.Failed && Messages.lacksMemory(state.cause)) closePipeline()
        return state
    }

    /** Returns what [work] does, or what its failure means to the user. */
    private fun faultOf(work: () -> JobState?): JobState? = try {
        work()
    } catch (cancelled: ReadCancelled) {
        JobState.Cancelled
    } catch (error: OutOfMemoryError) {
        JobState.Failed(error)
    } catch (error: LinkageError) {
        JobState.Failed(error)
    } catch (error: Exception) {
        // The thread's last line: whatever a picture or a provider does, the user gets a message.
        JobState.Failed(error)
    }

    private fun read(job: ReadJob): Reading {
        job.beforeRun()
        job.publish(JobState.Running())
        app.loadOpenCv()
        val degrees = job.session.degrees
        val picture = PictureDecoder(MemoryBudget.pixels(app), app.bundle.alpha).decode(job.session.source).turnedBy(degrees)
        try {
            Preview.write(picture.image, job.session)
            job.step { it.copy(preview = true) }
            val result = watched(job) { pipeline().read(picture.image, job) }
            val engine = openFor?.engine.orEmpty()
            val reading = Reading(result, engine, picture.sourceWidth, picture.sourceHeight, degrees)
            job.session.keep(reading)
            return reading
        } finally {
            picture.image.release()
        }
    }

    private fun <T> watched(work: RunWatch, run: () -> T): T {
        watch.work = work
        try {
            return run()
        } finally {
            watch.work = null
        }
    }

    private fun pipeline(): OcrPipeline {
        app.loadOpenCv()
        val settings = app.settings.load(app.bundle)
        pipeline?.let { if (settings == openFor) return it }
        closePipeline()
        return app.pipelines.open(settings, watch).also {
            pipeline = it
            openFor = settings
        }
    }

    private fun closePipeline() {
        pipeline?.close()
        pipeline = null
        openFor = null
    }

    private class CurrentWork : RunWatch {
        @Volatile
        var work: RunWatch? = null

        override fun beforeRun() {
            work?.beforeRun()
        }
    }

    private class Cancellable : RunWatch {
        @Volatile
        private var cancelled = false

        fun cancel() {
            cancelled = true
        }

        override fun beforeRun() {
            if (cancelled) throw ReadCancelled()
        }
    }
}
