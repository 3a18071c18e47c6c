package com.baidu.paddle.lite;

import java.util.Arrays;

/** What the engine asked of the pretended runtime, and how that is to behave. */
public final class Recorded {
    public static String model;
    public static int threads;
    public static PowerMode powerMode;
    public static long[] shape;
    public static float[] input;
    public static boolean loads;
    /** Native models that were loaded and not freed. */
    public static int held;
    public static boolean runs;
    public static float poison;
    public static RuntimeException crash;

    private Recorded() {}

    /** Makes the runtime forget everything and behave well. */
    public static void reset() {
        model = null;
        threads = 0;
        powerMode = null;
        shape = null;
        input = null;
        loads = true;
        held = 0;
        runs = true;
        poison = 0f;
        crash = null;
    }

    static float[] doubled() {
        float[] output = Arrays.copyOf(input, input.length);
        for (int i = 0; i < output.length; i++) output[i] = output[i] * 2 + poison;
        return output;
    }
}
