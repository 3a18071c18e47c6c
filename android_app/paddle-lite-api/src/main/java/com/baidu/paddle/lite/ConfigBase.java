package com.baidu.paddle.lite;

/** What every configuration is. */
public class ConfigBase {}
