package inbox_test

const childDatabase = "AMPY_INBOX_CHILD"

func beChild(string) error { return nil }
