from madang.datasets import load_dataset


def test_a_file_is_a_row_and_nothing_in_it_is_expanded(file):
    text = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    assert load_dataset("xml", data_files=str(file(text, "a.xml")), split="train").to_list() == [{"xml": text}]
